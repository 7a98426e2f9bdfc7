"""What the memories of the different networks have in common."""

from abc import abstractmethod
from typing import Any

import keras


class Memory(keras.layers.Layer):
    """Slots of normal patterns, mixtures of which take the place of queries.

    Args:
        num_slots: Number of slots K.
        seed: Of the initial slots, which are uniform within `slot_limit` of 0.

    Attributes:
        slots: Variable (K, F), once the layer is built.
    """

    def __init__(self, num_slots: int, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if num_slots < 1:
            raise ValueError(f"num_slots must be at least 1. Received: {num_slots}.")
        self.num_slots = num_slots
        self.seed = seed

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        features = int(input_shape[-1] or 0)
        limit = self.slot_limit(features)
        initial = keras.initializers.RandomUniform(-limit, limit, seed=self.seed)
        self.slots = self.add_weight(name="slots", shape=(self.num_slots, features), initializer=initial)

    def slot_limit(self, features: int) -> float:
        """The largest absolute value of the initial slots of so many features: 1 / sqrt(F) if nothing else is said."""
        return features**-0.5

    @abstractmethod
    def attention(self, queries: Any) -> Any:
        """How much of each slot queries (N, F) read outside of training: float32 (N, K), at least 0, sums to 1 over slots."""

    def stages(self) -> list["Memory"]:
        """The memories that are read one after the other: here this one alone."""
        return [self]

    def asked(self, queries: Any) -> list[Any]:
        """What each stage is asked outside of training, (N, F) each, where the first is asked queries (N, F)."""
        return [queries]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_slots": self.num_slots, "seed": self.seed}
