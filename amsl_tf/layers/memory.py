"""A memory of normal patterns that is read by attention."""

import math
from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="amsl_tf")
class Memory(keras.layers.Layer):
    """Replaces each query by a mixture of learned slots (section 3.3 of the AMSL paper).

    For a query q and the slots M: w = softmax(q M^T), read = w M, entropy = -sum_k w_k log w_k. The entropy is computed as
    logsumexp(l) - sum_k w_k l_k with l = q M^T, which needs no logarithm of a weight and is finite for every finite query.
    Everything is float32, whatever the precision of the network around the layer.

    Args:
        num_slots: Number of slots K.
        seed: Of the initial slots, which are uniform within +-1 / sqrt(K).

    Call:
        queries: (..., F).
        Returns the read (..., F) and the entropy (...), both float32.
    """

    def __init__(self, num_slots: int, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        if num_slots < 1:
            raise ValueError(f"num_slots must be at least 1. Received: {num_slots}.")
        self.num_slots = num_slots
        self.seed = seed

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        limit = 1.0 / math.sqrt(self.num_slots)
        self.slots = self.add_weight(
            name="slots",
            shape=(self.num_slots, input_shape[-1]),
            initializer=keras.initializers.RandomUniform(-limit, limit, seed=self.seed),
        )

    def call(self, queries: Any) -> tuple[Any, Any]:
        logits = ops.matmul(queries, ops.transpose(self.slots))
        weights = ops.softmax(logits)
        entropy = ops.logsumexp(logits, axis=-1) - ops.sum(weights * logits, axis=-1)
        return ops.matmul(weights, self.slots), entropy

    def compute_output_shape(
        self, input_shape: tuple[int | None, ...]
    ) -> tuple[tuple[int | None, ...], tuple[int | None, ...]]:
        return tuple(input_shape), tuple(input_shape[:-1])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_slots": self.num_slots, "seed": self.seed}
