"""AMSL's memory."""

from typing import Any

import keras
from keras import ops

from amsl_tf.layers.memory import Memory
from amsl_tf.layers.wide import wide, wide_dtype


@keras.saving.register_keras_serializable(package="amsl_tf")
class SoftmaxMemory(Memory):
    """Replaces each query by a mixture of learned slots (section 3.3 of the AMSL paper).

    For a query q and the slots M: w = softmax(q M^T), read = w M, entropy = -sum_k w_k log w_k. Products are computed in the
    precision of the layer's dtype policy, softmax and entropy in float32 at least; the entropy is finite for every finite
    query.

    Args:
        num_slots: Number of slots K.
        seed: Of the initial slots, which are uniform within +-1 / sqrt(K).

    Call:
        queries: (..., F).
        Returns the read (..., F) and the entropy (...), both float32 at least.
    """

    least = 0.0  # attention to a slot, up to which it is not read

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        limit = self.num_slots**-0.5
        self.add_slots(input_shape, -limit, limit)

    def call(self, queries: Any) -> tuple[Any, Any]:
        shape = ops.shape(queries)
        slots = ops.copy(self.slots)  # a tensor: TensorFlow's custom gradients are not for variables
        read, entropy = _read(ops.reshape(queries, (-1, shape[-1])), slots, self.least)
        return ops.reshape(read, shape), ops.reshape(entropy, shape[:-1])

    def attention(self, queries: Any) -> Any:
        logits = ops.matmul(wide(queries), ops.transpose(wide(self.slots)))
        return _weights(logits, self.least)[0]

    def compute_output_spec(self, queries: Any) -> tuple[keras.KerasTensor, keras.KerasTensor]:
        dtype = wide_dtype(self.compute_dtype)
        return keras.KerasTensor(queries.shape, dtype), keras.KerasTensor(queries.shape[:-1], dtype)


def _read(queries: Any, slots: Any, least: float) -> tuple[Any, Any]:
    """The reads of queries (N, F) from slots (K, F), and the entropies (N,); a graph leaves out what nobody wants.

    With the logits l = q M^T the entropy is log sum_k exp l_k - sum_k w_k l_k, over the slots that are read, and the last sum
    is q . read: nothing of the size N x K is needed for it but what the softmax needs. For the gradients R of the read and h
    of the entropy,

        dl = w * (g M^T - g . read),  g = R - h q,

    so that the entropy costs nothing in the backward pass either. Differentiating the forward pass operation by operation
    gives the same and goes over N x K numbers more than twice as often.
    """

    def read(queries: Any, slots: Any) -> tuple[tuple[Any, Any], Any]:
        dtype = queries.dtype
        weights, log_sum = _weights(wide(ops.matmul(queries, ops.transpose(slots))), least)
        weights = ops.cast(weights, dtype)
        made = wide(ops.matmul(weights, slots))
        wide_queries = wide(queries)
        entropy = log_sum - ops.sum(wide_queries * made, axis=-1)

        def gradient(*upstream: Any) -> tuple[Any, Any]:
            of_read, of_entropy = upstream if len(upstream) == 2 else upstream[0]  # TensorFlow gives two, JAX a pair
            combined = of_read - of_entropy[:, None] * wide_queries
            along = ops.matmul(ops.cast(combined, dtype), ops.transpose(slots))
            across = ops.cast(ops.sum(combined * made, axis=-1, keepdims=True), dtype)
            of_logits = weights * (along - across)
            of_slots = ops.matmul(ops.transpose(of_logits), queries)
            of_slots += ops.matmul(ops.transpose(weights), ops.cast(of_read, dtype))
            return ops.matmul(of_logits, slots), of_slots

        return (made, entropy), gradient

    if keras.backend.backend() == "torch":  # where Keras' custom gradients are of one output; PyTorch finds these itself
        return read(queries, slots)[0]
    return ops.custom_gradient(read)(queries, slots)


def _weights(logits: Any, least: float) -> tuple[Any, Any]:
    """The attention of queries to the slots that they read (N, K), and the logarithm of the sum of exp l over these (N,).

    Slots that get no more than `least` of a softmax over all are not read; if all are such, both are 0.
    """
    weights = ops.softmax(logits)
    log_sum = ops.max(logits, axis=-1) - ops.log(ops.max(weights, axis=-1))  # a weight is at least 1 / K: the logarithm is safe
    if not least:
        return weights, log_sum
    kept = ops.where(weights > least, weights, 0.0)
    total = ops.sum(kept, axis=-1)
    safe = ops.where(total > 0, total, 1.0)
    return kept / safe[:, None], ops.where(total > 0, log_sum + ops.log(safe), 0.0)
