"""MNAD's memory."""

from typing import Any

import keras
from keras import ops

from amsl_tf.layers.memory import TINY, Memory, unit

MARGIN = 1.0  # by which the second item should be farther from a query than the first


@keras.saving.register_keras_serializable(package="amsl_tf")
class PrototypeMemory(Memory):
    """Gives each query a mixture of items that have gathered the queries nearest to them, not by gradients (Park et al. 2020).

    For queries of length 1, q, and items m_1 ... m_K of length 1 (section 3.1 of the MNAD paper):

        w = softmax over items of (q . m_k),    read = sum_k w_k m_k
        in training, after all is read:  m_k <- L2norm(m_k + sum of v_qk / max_q' v_q'k q, over the queries nearest to m_k),
                                         v = softmax over the queries of the batch of (q . m_k)

    and, with the nearest item m_1 and the second m_2 held fixed (section 3.2; where the paper adds up, the authors' code takes
    means, as here):

        compactness = mean over features of (q - m_1)^2
        separateness = max(|q - m_1| - |q - m_2| + 1, 0)

    The paper updates items in testing, too; here one window has one score, whatever came before it. All is computed in float32
    at least.

    Args:
        num_slots: Number of items K, at least 2.
        seed: Of the initial items, which are uniform between 0 and 1 before they get length 1.

    Call:
        queries: (..., F).
        training: Whether items are updated.
        Returns the queries of length 1 beside what is read, (..., 2 F), compactness (...) and separateness (...); all are
        float32 at least.
    """

    def __init__(self, num_slots: int, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(num_slots, seed, **kwargs)
        if num_slots < 2:
            raise ValueError(f"num_slots must be at least 2. Received: {num_slots}.")

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        # no autocast: in mixed precision an update would round the items
        self.add_slots(input_shape, 0.0, 1.0, trainable=False, autocast=False)
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
        """Moves items towards the queries (N, F) nearest to them, by their products (N, K)."""
        queries, products = ops.stop_gradient(queries), ops.stop_gradient(products)
        nearest = ops.one_hot(ops.argmax(products, axis=1), self.num_slots, dtype=products.dtype)
        weights = nearest * ops.exp(products - ops.max(products, axis=0))  # v / max v
        self.slots.assign(unit(self.slots + ops.matmul(ops.transpose(weights), queries)))

    def attention(self, queries: Any) -> Any:
        return ops.softmax(ops.matmul(unit(queries), ops.transpose(self.slots)))


def _length(vectors: Any) -> Any:
    """Lengths of vectors (..., F), with a gradient where they are 0."""
    return ops.sqrt(ops.sum(ops.square(vectors), axis=-1) + TINY)
