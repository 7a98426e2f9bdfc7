"""A memory that forgets at random, the unit of RFTM."""

from functools import partial
from typing import Any

import keras
from keras import ops

from amsl_tf.networks.layers.memory import Memory, unit
from amsl_tf.networks.layers.upcast import upcast


@keras.saving.register_keras_serializable(package="amsl_tf")
class ForgettingMemory(Memory):
    """A memory that forgets random slots in every training step, so that no query relies on a single slot.

    For a query q and the slots M:

        s_k = cos(q, m_k); in training 0 for floor(forgetting K) slots, drawn anew for every batch
        w = softmax of max(s, 0) over the top_k largest s, 0 for the others,    read = w M

    The matrix multiplication is computed in the precision of the layer's dtype policy, all else in float32 at least.

    Args:
        num_slots: The number of slots K.
        forgetting: The share of the slots that is forgotten, at least 0 and below 1.
        top_k: The number of slots that a query reads, 1 to K.
        seed: The seed of the initial slots, uniform within +-1 / sqrt(F), and of the forgetting.

    Call arguments:
        queries: (..., F).
        training: Whether slots are forgotten.

    Returns:
        The read (..., F), float32 at least.

    Reference:
        The unit of the Cascade-Memory, ECAI 2024; see `TwinMemory`.
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
        """Computes the weights w of queries (N, F) at inference, (N, K); see `Memory.attention`."""
        weights, chosen = self._address(self._similarity(queries))
        # summed one by one: a single one-hot tensor would need top_k times the memory
        one_hot = partial(ops.one_hot, num_classes=self.num_slots, dtype=weights.dtype)
        return sum(weights[:, place, None] * one_hot(chosen[:, place]) for place in range(self.top_k))

    def _similarity(self, queries: Any) -> Any:
        """Computes the cosine similarity of queries (..., F) to the slots (..., K), float32 at least; 0 for a zero query."""
        directions = (ops.cast(unit(vectors), self.compute_dtype) for vectors in (queries, self.slots))
        return upcast(ops.matmul(next(directions), ops.transpose(next(directions))))

    def _address(self, similarity: Any) -> tuple[Any, Any]:
        """Returns the weights of the slots that are read (..., top_k), and their indices."""
        highest, chosen = ops.top_k(similarity, self.top_k)
        return ops.softmax(ops.relu(highest)), chosen

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "forgetting": self.forgetting, "top_k": self.top_k}
