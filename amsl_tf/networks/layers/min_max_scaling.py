"""Min-max scaling of views."""

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
from keras import ops

# Scaled values are clipped to it, in training and in scoring. New normal windows reach a few spans, and the abnormal windows of
# DSADS eight: errors rank by size far beyond normal values. It also bounds the loss of a window with values that no cell has
# spanned (one clipped cell among 125 x 45 adds 1.8 to it) and keeps activations within float16.
LIMIT = 100.0
# A cell that spans less than this share of the typical span of its channel takes the typical span: its own span can be that of
# a single draw of a random view, and other draws would reach the limit. With the protocols of DSADS all cells span more than
# half of the typical span and keep their own.
SHARE = 0.05


@keras.saving.register_keras_serializable(package="amsl_tf")
class MinMaxScaling(keras.layers.Layer):
    """A layer that scales each cell of the views to [0, 1] over the data that it was fitted on.

    A cell is one (view, time step, channel). New data can fall outside of [0, 1], and is clipped to +-`LIMIT`. A cell that was
    constant, or nearly constant compared with other time steps of its channel in the view, is divided by their typical span:
    the median of those that moved. A channel that was constant in a view is only shifted to 0. Constant means up to rounding,
    or within the smallest normal float32 number.

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
        moves = span > rounding
        otherwise = np.where(moves.any(axis=1, keepdims=True), np.nan, 1.0)  # a channel without moving cells has the span 1
        # the median over time steps, because an outlier in one window must not change the other time steps
        typical = np.nanmedian(np.where(moves, span, otherwise), axis=1, keepdims=True)
        self.restore(minimum, np.where(moves & (span > SHARE * typical), span, typical))

    def restore(self, minimum: np.ndarray, span: np.ndarray) -> None:
        """Sets the fitted state, from the `state` of another layer.

        Args:
            minimum: float32 (R, T, C), the minimum of each cell.
            span: float32 (R, T, C), its maximum less its minimum, or the typical span of its channel; see the class.
        """
        if not self.built:
            self.build((None, *minimum.shape))
        self.minimum.assign(minimum)
        self.span.assign(span)

    def state(self) -> dict[str, np.ndarray]:
        """Returns the fitted state, the arguments of `restore` by name."""
        return {name: ops.convert_to_numpy(getattr(self, name)) for name in ("minimum", "span")}

    def call(self, views: Any) -> Any:
        return ops.clip((views - self.minimum) / self.span, -LIMIT, LIMIT)

    def inverse(self, scaled: Any) -> Any:
        """Inverts the scaling of values that are not clipped: (B, R, T, C), scaled, to views in the units of the windows."""
        return scaled * self.span + self.minimum

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return tuple(input_shape)
