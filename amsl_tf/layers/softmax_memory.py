"""AMSL's memory."""

from typing import Any

import keras
from keras import ops

from amsl_tf.layers.memory import Memory


@keras.saving.register_keras_serializable(package="amsl_tf")
class SoftmaxMemory(Memory):
    """Replaces each query by a mixture of learned slots (section 3.3 of the AMSL paper).

    For a query q and the slots M: w = softmax(q M^T), read = w M, entropy = -sum_k w_k log w_k. Products are computed in the
    precision of the layer's dtype policy, softmax and entropy in float32; the entropy is finite for every finite query.

    Args:
        num_slots: Number of slots K.
        seed: Of the initial slots, which are uniform within +-1 / sqrt(K).

    Call:
        queries: (..., F).
        Returns the read (..., F) and the entropy (...), both float32.
    """

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        limit = self.num_slots**-0.5
        self.add_slots(input_shape, -limit, limit)

    def call(self, queries: Any) -> tuple[Any, Any]:
        shape = ops.shape(queries)
        slots = ops.copy(self.slots)  # a tensor: TensorFlow's custom gradients are not for variables
        made = _read(ops.reshape(queries, (-1, shape[-1])), slots)
        read, entropy = ops.split(made, [shape[-1]], axis=-1)  # no slices: the gradient of each is padded to the whole
        return ops.reshape(read, shape), ops.reshape(entropy, shape[:-1])

    def attention(self, queries: Any) -> Any:
        logits = ops.matmul(ops.cast(queries, "float32"), ops.transpose(ops.cast(self.slots, "float32")))
        return ops.softmax(logits)

    def compute_output_spec(self, queries: Any) -> tuple[keras.KerasTensor, keras.KerasTensor]:
        return keras.KerasTensor(queries.shape, "float32"), keras.KerasTensor(queries.shape[:-1], "float32")


@ops.custom_gradient
def _read(queries: Any, slots: Any) -> tuple[Any, Any]:
    """The reads of queries (N, F) from slots (K, F), and in a last column their entropies: float32 (N, F + 1).

    With the logits l = q M^T the entropy is logsumexp(l) - sum_k w_k l_k, and the sum is q . read: nothing of the size N x K is
    needed for it but two maxima. For the gradients R of the read and h of the entropy,

        dl = w * (g M^T - g . read),  g = R - h q,

    so that the entropy costs nothing in the backward pass either. Differentiating the forward pass operation by operation
    gives the same and goes over N x K numbers more than twice as often.
    """
    dtype = queries.dtype
    logits = ops.cast(ops.matmul(queries, ops.transpose(slots)), "float32")
    weights = ops.softmax(logits)
    log_sum = ops.max(logits, axis=-1) - ops.log(ops.max(weights, axis=-1))  # a weight is at least 1 / K: the logarithm is safe
    weights = ops.cast(weights, dtype)
    read = ops.cast(ops.matmul(weights, slots), "float32")
    wide_queries = ops.cast(queries, "float32")
    entropy = log_sum - ops.sum(wide_queries * read, axis=-1)

    def gradient(*arguments: Any, upstream: Any = None) -> tuple[Any, Any]:
        if upstream is None:  # TensorFlow and JAX pass it by position
            (upstream,) = arguments
        of_read, of_entropy = upstream[:, :-1], upstream[:, -1:]
        combined = of_read - of_entropy * wide_queries
        along = ops.matmul(ops.cast(combined, dtype), ops.transpose(slots))
        across = ops.cast(ops.sum(combined * read, axis=-1, keepdims=True), dtype)
        of_logits = weights * (along - across)
        of_slots = ops.matmul(ops.transpose(of_logits), queries) + ops.matmul(ops.transpose(weights), ops.cast(of_read, dtype))
        return ops.matmul(of_logits, slots), of_slots

    return ops.concatenate([read, entropy[:, None]], axis=-1), gradient
