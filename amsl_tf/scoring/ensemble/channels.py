"""The scaling of channels, once for all members of the ensemble."""

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

OUTLIERS = 0.001  # the share of the values at each end that does not affect the scale
FEWEST = 3  # of these values, as a single outlier must not set the scale of a few windows
CONSTANT_BELOW = 1e-6  # of the largest value: smaller deviations are rounding errors of float32
LIMIT = 1e3  # scaled values are clipped to it: beyond it everything is abnormal, and squares stay exact
CONSTANT_LIMIT = 10.0  # for channels that were constant in training: one that moves must not outweigh all others


@dataclass
class ChannelScaling:
    """The scaling of sensors to mean 0 and standard deviation 1 over normal windows.

    A sensor with several axes is replaced by its norm, which does not depend on its orientation. One that is constant in
    training, but for outliers, is scaled by its value or by the typical scale of the others, whichever is smaller, and limited
    to +-10.

    Attributes:
        mean, scale, limit: float64 (S,), the mean, the standard deviation and the largest scaled value of each sensor.
    """

    mean: np.ndarray
    scale: np.ndarray
    limit: np.ndarray

    @classmethod
    def fit(cls, windows: np.ndarray, axes: int) -> "ChannelScaling":
        """Fits the scaling to normal windows.

        Args:
            windows: float32 (N, T, C).
            axes: The number of consecutive channels that are the axes of one sensor.
        """
        values = norms(tf.convert_to_tensor(windows), axes).numpy().reshape(-1, windows.shape[2] // axes)
        share = min(max(OUTLIERS, FEWEST / len(values)), 0.25)
        values = np.clip(values, *np.quantile(values, (share, 1 - share), axis=0))
        mean, scale, largest = values.mean(axis=0), values.std(axis=0), np.abs(values).max(axis=0)
        is_constant = scale <= CONSTANT_BELOW * largest
        # no unit of its own: its value or the scale of other sensors, so that scores do not depend on the units of the data
        others = np.median(scale[~is_constant]) if not is_constant.all() else np.inf
        instead = np.minimum(np.where(largest > 0, largest, np.inf), others)
        scale = np.where(is_constant, np.where(np.isfinite(instead), instead, 1.0), scale)
        return cls(mean, scale, np.where(is_constant, CONSTANT_LIMIT, LIMIT))

    @property
    def deviation(self) -> np.ndarray:
        """The standard deviation of each sensor, float64 (S,), 0 for those that are constant in training."""
        return np.where(self.limit == CONSTANT_LIMIT, 0.0, self.scale)

    def __call__(self, windows: tf.Tensor) -> tf.Tensor:
        """Scales windows (B, T, C) to sensors, float32 (B, T, S)."""
        scaled = (norms(windows, windows.shape[2] // self.mean.shape[0]) - self.mean) / self.scale
        return tf.cast(tf.clip_by_value(scaled, -self.limit, self.limit), tf.float32)


def norms(windows: tf.Tensor, axes: int) -> tf.Tensor:
    """Computes the norm of each sensor with several axes, or returns the only axis: float64 (B, T, C / axes)."""
    x = tf.cast(windows, tf.float64)  # the squares of the largest values are finite in float64
    if axes == 1:
        return x
    steps, channels = windows.shape[1:]
    return tf.norm(tf.reshape(x, (-1, steps, channels // axes, axes)), axis=3)
