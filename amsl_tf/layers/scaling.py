"""Min-max scaling of views, with the state that it was fitted to."""

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
from keras import ops


@keras.saving.register_keras_serializable(package="amsl_tf")
class MinMaxScaling(keras.layers.Layer):
    """Maps each cell of the views it was fitted on to [0, 1].

    A cell is one (view, time step, channel). Values outside of what `adapt` saw fall outside of [0, 1]: nothing is clipped. A
    cell that was constant, but for rounding, is only shifted to 0.

    Call:
        views: (B, R, T, C).
        Returns float32 (B, R, T, C).
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", "trainable": False, **kwargs})

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.minimum = self.add_weight(name="minimum", shape=input_shape[1:], initializer="zeros")
        self.span = self.add_weight(name="span", shape=input_shape[1:], initializer="ones")

    def adapt(self, batches: Iterable[np.ndarray]) -> None:
        """Fits the layer in one pass over batches of views (B, R, T, C).

        Raises:
            ValueError: There is no batch.
        """
        minimum = maximum = None
        for batch in batches:
            low, high = batch.min(axis=0), batch.max(axis=0)
            minimum = low if minimum is None else np.minimum(minimum, low)
            maximum = high if maximum is None else np.maximum(maximum, high)
        if minimum is None or maximum is None:
            raise ValueError("adapt needs at least one batch of views. Received: none.")
        span = maximum - minimum
        rounding = 1e-6 * np.maximum(np.abs(minimum), np.abs(maximum))
        self.restore(minimum, np.where(span > rounding, span, 1.0))

    def restore(self, minimum: np.ndarray, span: np.ndarray) -> None:
        """Sets the fitted state, (R, T, C) each, as it was read from another layer."""
        if not self.built:
            self.build((None, *minimum.shape))
        self.minimum.assign(minimum)
        self.span.assign(span)

    def state(self) -> dict[str, np.ndarray]:
        """What `restore` takes."""
        return {name: ops.convert_to_numpy(getattr(self, name)) for name in ("minimum", "span")}

    def call(self, views: Any) -> Any:
        return (views - self.minimum) / self.span

    def inverse(self, scaled: Any) -> Any:
        """The views (B, R, T, C), in their own units, that `call` maps to `scaled`."""
        return scaled * self.span + self.minimum

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return tuple(input_shape)
