"""A memory that forgets: one of the two of RFTM, as this project reads it."""

from functools import partial
from typing import Any

import keras
from keras import ops

from amsl_tf.layers.memory import Memory, unit
from amsl_tf.layers.wide import wide


@keras.saving.register_keras_serializable(package="amsl_tf")
class ForgettingMemory(Memory):
    """A memory that forgets some of its slots in every step of a training, so that no query can rely on one of them.

    For a query q and the slots M (a unit of the Cascade-Memory, ECAI 2024; see `TwinMemory`):

        s_k = cos(q, m_k); in training 0 for floor(forgetting K) slots, drawn anew for every batch
        w = softmax of max(s, 0) over the top_k largest s, 0 for the others,    read = w M

    The product is computed in the precision of the layer's dtype policy, all else in float32 at least.

    Args:
        num_slots: Number of slots K.
        forgetting: Share of the slots that are forgotten, at least 0 and below 1.
        top_k: Slots that are read, 1 to K.
        seed: Of the initial slots, which are uniform within +-1 / sqrt(F), and of what is forgotten.

    Call:
        queries: (..., F).
        training: Whether slots are forgotten.
        Returns the read (..., F), float32 at least.
    """

    def __init__(self, num_slots: int, forgetting: float, top_k: int, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(num_slots, seed, **kwargs)
        if not 0 <= forgetting < 1:
            raise ValueError(f"forgetting must be at least 0 and below 1. Received: {forgetting}.")
        if not 1 <= top_k <= num_slots:
            raise ValueError(f"top_k must be 1 to num_slots. Received: {top_k}, with {num_slots} slots.")
        self.forgetting = forgetting
        self.top_k = top_k
        self._draws = keras.random.SeedGenerator(seed)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        limit = int(input_shape[-1] or 0) ** -0.5
        self.add_slots(input_shape, -limit, limit, autocast=False)

    def call(self, queries: Any, training: bool = False) -> Any:
        similarity = self._similarity(queries)
        forgotten = int(round(self.forgetting * self.num_slots, 6))  # 0.29 x 100 is 28.999...
        if training and forgotten:
            kept = ops.cast(ops.arange(self.num_slots) >= forgotten, similarity.dtype)
            similarity = similarity * keras.random.shuffle(kept, seed=self._draws)
        weights, chosen = self._address(similarity)
        read = ops.take(self.slots, chosen, axis=0)
        return ops.sum(weights[..., None] * read, axis=-2)

    def attention(self, queries: Any) -> Any:
        weights, chosen = self._address(self._similarity(queries))
        # one after the other: side by side they would take top_k times the memory
        one_hot = partial(ops.one_hot, num_classes=self.num_slots, dtype=weights.dtype)
        return sum(weights[:, place, None] * one_hot(chosen[:, place]) for place in range(self.top_k))

    def _similarity(self, queries: Any) -> Any:
        """Cosines of the angles between queries (..., F) and slots (..., K), float32 at least; 0 for a query of zeros."""
        directions = (ops.cast(unit(vectors), self.compute_dtype) for vectors in (queries, self.slots))
        return wide(ops.matmul(next(directions), ops.transpose(next(directions))))

    def _address(self, similarity: Any) -> tuple[Any, Any]:
        """The weights of the slots that are read (..., top_k), and which they are."""
        highest, chosen = ops.top_k(similarity, self.top_k)
        return ops.softmax(ops.relu(highest)), chosen

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "forgetting": self.forgetting, "top_k": self.top_k}
