"""Min-max scaling of views."""

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
from keras import ops


@keras.saving.register_keras_serializable(package="amsl_tf")
class MinMaxScaling(keras.layers.Layer):
    """A layer that scales each cell of the views to [0, 1] over the data that it was fitted on.

    A cell is one (view, time step, channel). Values are not clipped: new data can fall outside of [0, 1]. A cell that was
    constant up to rounding, or within the smallest normal float32 number, is only shifted to 0.

    Call arguments:
        views: (B, R, T, C).

    Returns:
        float32 (B, R, T, C).
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", "trainable": False, **kwargs})

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.minimum = self.add_weight(name="minimum", shape=input_shape[1:], initializer="zeros")
        self.span = self.add_weight(name="span", shape=input_shape[1:], initializer="ones")

    def adapt(self, batches: Iterable[np.ndarray]) -> None:
        """Fits the scaling in one pass over the data.

        Args:
            batches: Batches of views, float32 (B, R, T, C).

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
        rounding = np.maximum(1e-6 * np.maximum(np.abs(minimum), np.abs(maximum)), np.finfo(np.float32).tiny)
        self.restore(minimum, np.where(span > rounding, span, 1.0))

    def restore(self, minimum: np.ndarray, span: np.ndarray) -> None:
        """Sets the fitted state, from the `state` of another layer.

        Args:
            minimum: float32 (R, T, C), the minimum of each cell.
            span: float32 (R, T, C), its maximum less its minimum, or 1 for a constant cell.
        """
        if not self.built:
            self.build((None, *minimum.shape))
        self.minimum.assign(minimum)
        self.span.assign(span)

    def state(self) -> dict[str, np.ndarray]:
        """Returns the fitted state, the arguments of `restore` by name."""
        return {name: ops.convert_to_numpy(getattr(self, name)) for name in ("minimum", "span")}

    def call(self, views: Any) -> Any:
        return (views - self.minimum) / self.span

    def inverse(self, scaled: Any) -> Any:
        """Inverts the scaling: (B, R, T, C), scaled, to views in the units of the windows."""
        return scaled * self.span + self.minimum

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return tuple(input_shape)
