"""The memory of AMSL."""

from typing import Any

import keras
from keras import ops

from amsl_tf.networks.layers.memory import Memory
from amsl_tf.networks.layers.upcast import upcast, upcast_dtype


@keras.saving.register_keras_serializable(package="amsl_tf")
class SoftmaxMemory(Memory):
    """A memory that replaces each query by a mixture of learned slots.

    For a query q and the slots M: w = softmax(q M^T), read = w M, entropy = -sum_k w_k log w_k. Matrix multiplications are
    computed in the precision of the layer's dtype policy, softmax and entropy in float32 at least; the entropy is finite for
    every finite query.

    Args:
        num_slots: The number of slots K.
        seed: The seed of the initial slots, uniform within +-1 / sqrt(K).

    Call arguments:
        queries: (..., F).

    Returns:
        The read (..., F) and the entropy in nats (...), both float32 at least.

    Reference:
        Section 3.3 of the AMSL paper (arXiv 2201.00464).
    """

    @property
    def min_attention(self) -> float:
        """The attention that a slot must exceed to be read, from 0 to 1."""
        return 0.0

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        limit = self.num_slots**-0.5
        self.add_slots(input_shape, -limit, limit)

    def call(self, queries: Any) -> tuple[Any, Any]:
        shape = ops.shape(queries)
        slots = ops.copy(self.slots)  # a tensor: TensorFlow's custom gradients do not take variables
        read, entropy = _read(ops.reshape(queries, (-1, shape[-1])), slots, self.min_attention)
        return ops.reshape(read, shape), ops.reshape(entropy, shape[:-1])

    def attention(self, queries: Any) -> Any:
        """Computes the weights w of queries (N, F) at inference, (N, K); see `Memory.attention`."""
        logits = ops.matmul(upcast(queries), ops.transpose(upcast(self.slots)))
        return _weights(logits, self.min_attention)[0]

    def compute_output_spec(self, queries: Any) -> tuple[keras.KerasTensor, keras.KerasTensor]:
        dtype = upcast_dtype(self.compute_dtype)
        return keras.KerasTensor(queries.shape, dtype), keras.KerasTensor(queries.shape[:-1], dtype)


def _read(queries: Any, slots: Any, min_attention: float) -> tuple[Any, Any]:
    """Computes the reads of queries (N, F) from slots (K, F), and the entropies (N,), with a custom gradient.

    With the logits l = q M^T the entropy is log sum_k exp l_k - sum_k w_k l_k over the slots that are read, and the last sum
    is q . read: no tensor of size N x K is needed beside those of the softmax. For the gradients R of the read and h of the
    entropy,

        dl = w * (g M^T - g . read),  g = R - h q,

    so the entropy adds nothing to the backward pass either. Automatic differentiation gives the same result with more than
    twice as many passes over tensors of size N x K. The outputs are separate, so that a graph can drop the unused one.
    """

    def read(queries: Any, slots: Any) -> tuple[tuple[Any, Any], Any]:
        dtype = queries.dtype
        weights, log_sum = _weights(upcast(ops.matmul(queries, ops.transpose(slots))), min_attention)
        weights = ops.cast(weights, dtype)
        reads = upcast(ops.matmul(weights, slots))
        upcast_queries = upcast(queries)
        entropy = log_sum - ops.sum(upcast_queries * reads, axis=-1)

        def gradient(*upstream: Any) -> tuple[Any, Any]:
            of_read, of_entropy = upstream if len(upstream) == 2 else upstream[0]  # TensorFlow passes two arguments, JAX a pair
            combined = of_read - of_entropy[:, None] * upcast_queries
            along = ops.matmul(ops.cast(combined, dtype), ops.transpose(slots))
            across = ops.cast(ops.sum(combined * reads, axis=-1, keepdims=True), dtype)
            of_logits = weights * (along - across)
            of_slots = ops.matmul(ops.transpose(of_logits), queries)
            of_slots += ops.matmul(ops.transpose(weights), ops.cast(of_read, dtype))
            return ops.matmul(of_logits, slots), of_slots

        return (reads, entropy), gradient

    if keras.backend.backend() == "torch":  # Keras' custom gradients take one output there; autograd does the rest
        return read(queries, slots)[0]
    return ops.custom_gradient(read)(queries, slots)


def _weights(logits: Any, min_attention: float) -> tuple[Any, Any]:
    """Computes the attention (N, K), and the logarithm of the sum of exp l over the slots that are read (N,).

    Slots with a softmax weight of at most `min_attention` are not read; if there are no others, both results are 0.
    """
    weights = ops.softmax(logits)
    log_sum = ops.max(logits, axis=-1) - ops.log(ops.max(weights, axis=-1))  # the largest weight is at least 1 / K
    if not min_attention:
        return weights, log_sum
    kept = ops.where(weights > min_attention, weights, 0.0)
    total = ops.sum(kept, axis=-1)
    safe = ops.where(total > 0, total, 1.0)
    return kept / safe[:, None], ops.where(total > 0, log_sum + ops.log(safe), 0.0)
