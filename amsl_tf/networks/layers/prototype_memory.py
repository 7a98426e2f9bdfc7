"""The memory of MNAD."""

from typing import Any

import keras
from keras import ops

from amsl_tf.networks.layers.memory import TINY, Memory, unit

TOLERANCE = 1e-4  # of squared lengths: rounding and `TINY` stay far below it
MARGIN = 1.0  # of the separateness: the second item should be farther from a query than the first by this


@keras.saving.register_keras_serializable(package="amsl_tf")
class PrototypeMemory(Memory):
    """A memory that replaces each query by a mixture of items, updated without gradients by the queries nearest to them.

    For queries of length 1, q, and items m_1 ... m_K of length 1 (section 3.1 of the MNAD paper):

        w = softmax over items of (q . m_k),    read = sum_k w_k m_k
        in training, after all is read:  m_k <- L2norm(m_k + sum of v_qk / max_q' v_q'k q, over the queries nearest to m_k),
                                         v = softmax over the queries of the batch of (q . m_k)

    and, without gradient for the nearest item m_1 and the second m_2 (section 3.2; means, as in the authors' code, where the
    paper has sums):

        compactness = mean over features of (q - m_1)^2
        separateness = max(|q - m_1| - |q - m_2| + 1, 0)

    The paper updates items at test time too; here they are fixed, so that the score of a window does not depend on the windows
    before it. All is computed in float32 at least.

    Where several devices train together, each updates the items with the queries of its part of the batch; the items become the
    means of these updates, normalised.

    Args:
        num_slots: The number of items K, at least 2.
        seed: The seed of the initial items, uniform between 0 and 1 before normalisation.

    Call arguments:
        queries: (..., F).
        training: Whether items are updated.

    Returns:
        The normalised queries and the reads, concatenated (..., 2 F); compactness (...); separateness (...). All are float32 at
        least.

    Reference:
        Park et al., Learning Memory-guided Normality for Anomaly Detection, CVPR 2020.
    """

    def __init__(self, num_slots: int, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(num_slots, seed, **kwargs)
        if num_slots < 2:
            raise ValueError(f"num_slots must be at least 2. Received: {num_slots}.")

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        # no autocast: mixed precision would round the items at every update
        self.add_slots(input_shape, 0.0, 1.0, trainable=False, autocast=False, aggregation="mean")
        self.slots.assign(unit(self.slots))

    def call(self, queries: Any, training: bool = False) -> tuple[Any, Any, Any]:
        queries, slots = unit(queries), ops.convert_to_tensor(self.slots)
        products = ops.matmul(queries, ops.transpose(slots))
        read = ops.matmul(ops.softmax(products), slots)
        nearest, second = (ops.take(slots, place, axis=0) for place in ops.unstack(ops.top_k(products, 2)[1], 2, axis=-1))
        compactness = ops.mean(ops.square(queries - nearest), axis=-1)
        separateness = ops.relu(_length(queries - nearest) - _length(queries - second) + MARGIN)
        if training:
            self._update(ops.reshape(queries, (-1, slots.shape[1])), ops.reshape(products, (-1, self.num_slots)))
        return ops.concatenate([queries, read], axis=-1), compactness, separateness

    def _update(self, queries: Any, products: Any) -> None:
        """Moves items towards the queries (N, F) nearest to them, given their dot products (N, K)."""
        queries, products = ops.stop_gradient(queries), ops.stop_gradient(products)
        nearest = ops.one_hot(ops.argmax(products, axis=1), self.num_slots, dtype=products.dtype)
        weights = nearest * ops.exp(products - ops.max(products, axis=0))  # v / max v
        self.slots.assign(unit(self.slots + ops.matmul(ops.transpose(weights), queries)))
        # several devices have assigned the mean of their items, which is shorter; a single one multiplies by 1, exactly
        squares = ops.sum(ops.square(self.slots), axis=1, keepdims=True)
        self.slots.assign(self.slots * ops.where(ops.abs(squares - 1) > TOLERANCE, ops.rsqrt(squares + TINY), 1.0))

    def attention(self, queries: Any) -> Any:
        """Computes the weights w of queries (N, F) at inference, (N, K); see `Memory.attention`."""
        return ops.softmax(ops.matmul(unit(queries), ops.transpose(self.slots)))


def _length(vectors: Any) -> Any:
    """Computes the lengths of vectors (..., F), with a finite gradient at 0."""
    return ops.sqrt(ops.sum(ops.square(vectors), axis=-1) + TINY)
