"""The base class of the memories."""

from abc import ABC, abstractmethod
from typing import Any

import keras
from keras import ops

from amsl_tf.networks.layers.upcast import upcast

TINY = 1e-6  # added to squared lengths, so that the gradient at a zero vector is finite in float16


class Memory(keras.layers.Layer, ABC):
    """Base class of memories: slots of normal patterns, whose mixtures replace queries.

    Args:
        num_slots: The number of slots K.
        seed: The seed of the initial slots.

    Attributes:
        slots: The variable (K, F), once the layer is built; initially uniform within +-1 / sqrt(F) unless a subclass overrides
            `build`.
    """

    def __init__(self, num_slots: int, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if num_slots < 1:
            raise ValueError(f"num_slots must be at least 1. Received: {num_slots}.")
        self.num_slots = num_slots
        self.seed = seed

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        limit = int(input_shape[-1] or 0) ** -0.5
        self.add_slots(input_shape, -limit, limit)

    def add_slots(self, input_shape: tuple[int | None, ...], low: float, high: float, **settings: Any) -> None:
        """Creates the slots, initially uniform from low to high; `settings` are passed to `add_weight`."""
        initial = keras.initializers.RandomUniform(low, high, seed=self.seed)
        self.slots = self.add_weight(name="slots", shape=(self.num_slots, input_shape[-1]), initializer=initial, **settings)

    @abstractmethod
    def attention(self, queries: Any) -> Any:
        """Computes the attention of queries at inference.

        Args:
            queries: (N, F).

        Returns:
            (N, K), float32 at least, not negative; sums to 1 over the slots, or to 0 where a query reads nothing.
        """

    def stages(self) -> list["Memory"]:
        """Returns the memories that are read in sequence: a single memory returns itself."""
        return [self]

    def stage_queries(self, queries: Any) -> list[Any]:
        """Computes the queries (N, F) of each stage at inference from those of the first stage (N, F)."""
        return [queries]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_slots": self.num_slots, "seed": self.seed}


def unit(vectors: Any) -> Any:
    """Normalises vectors (..., F) to length 1, float32 at least; zero vectors stay zero."""
    vectors = upcast(vectors)
    return vectors * ops.rsqrt(ops.sum(ops.square(vectors), axis=-1, keepdims=True) + TINY)
