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
        read, entropy = self._read(ops.reshape(queries, (-1, shape[-1])))
        return ops.reshape(read, shape), ops.reshape(entropy, shape[:-1])

    def attention(self, queries: Any) -> Any:
        """Computes the weights w of queries (N, F) at inference, (N, K); see `Memory.attention`."""
        exponentials, total, _ = self._softmax_terms(ops.matmul(upcast(queries), ops.transpose(upcast(self.slots))))
        return exponentials / total

    def compute_output_spec(self, queries: Any) -> tuple[keras.KerasTensor, keras.KerasTensor]:
        dtype = upcast_dtype(self.compute_dtype)
        return keras.KerasTensor(queries.shape, dtype), keras.KerasTensor(queries.shape[:-1], dtype)

    def _read(self, queries: Any) -> tuple[Any, Any]:
        """Computes the reads of queries (N, F), and the entropies (N,).

        With the logits l = q M^T the entropy is log sum_k exp l_k - sum_k w_k l_k over the slots that are read, and the last
        sum is q . read. The reads are divided by the sum of the exponentials, rather than the exponentials themselves: both
        save passes over tensors of size N x K, which limit the speed, more of them in the backward pass.
        """
        exponentials, total, maximum = self._softmax_terms(ops.matmul(queries, ops.transpose(self.slots)))
        read = upcast(ops.matmul(ops.cast(exponentials, queries.dtype), self.slots)) / total
        entropy = (ops.log(total) + maximum)[:, 0] - ops.sum(upcast(queries) * read, axis=-1)
        return read, entropy

    def _softmax_terms(self, logits: Any) -> tuple[Any, Any, Any]:
        """Computes exp(l - max l) of logits (N, K), their sum (N, 1) over the slots that are read, and max l (N, 1).

        The exponentials of slots that are not read are 0. If none is read, the sum is 1 and the maximum 0.
        """
        logits = upcast(logits)
        maximum = ops.stop_gradient(ops.max(logits, axis=-1, keepdims=True))  # it cancels out of read and entropy
        exponentials = ops.exp(logits - maximum)
        total = ops.sum(exponentials, axis=-1, keepdims=True)
        if not self.min_attention:
            return exponentials, total, maximum
        exponentials = ops.where(exponentials > self.min_attention * total, exponentials, 0.0)
        total = ops.sum(exponentials, axis=-1, keepdims=True)
        return exponentials, ops.where(total > 0, total, 1.0), ops.where(total > 0, maximum, 0.0)
