"""What the memories of the different networks have in common."""

from abc import ABC, abstractmethod
from typing import Any

import keras
from keras import ops

from amsl_tf.layers.wide import wide

TINY = 1e-6  # beside squared lengths: small, and large enough for the gradient of a vector of zeros to be finite in float16


class Memory(keras.layers.Layer, ABC):
    """Slots of normal patterns, mixtures of which take the place of queries.

    Args:
        num_slots: Number of slots K.
        seed: Of the initial slots.

    Attributes:
        slots: Variable (K, F), once the layer is built; uniform within +-1 / sqrt(F) if a subclass says nothing else.
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
        """Makes the slots, uniform from low to high; `settings` are others of `add_weight`."""
        initial = keras.initializers.RandomUniform(low, high, seed=self.seed)
        self.slots = self.add_weight(name="slots", shape=(self.num_slots, input_shape[-1]), initializer=initial, **settings)

    @abstractmethod
    def attention(self, queries: Any) -> Any:
        """How much of each slot queries (N, F) read outside of training.

        (N, K), float32 at least, no number below 0; sums to 1 over slots, or to 0 where a query reads nothing.
        """

    def stages(self) -> list["Memory"]:
        """The memories that are read one after the other: here this one alone."""
        return [self]

    def asked(self, queries: Any) -> list[Any]:
        """What each stage is asked outside of training, (N, F) each, where the first is asked queries (N, F)."""
        return [queries]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_slots": self.num_slots, "seed": self.seed}


def unit(vectors: Any) -> Any:
    """Vectors (..., F) of length 1, float32 at least; those of zeros left so."""
    vectors = wide(vectors)
    return vectors * ops.rsqrt(ops.sum(ops.square(vectors), axis=-1, keepdims=True) + TINY)
