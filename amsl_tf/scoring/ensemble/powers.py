"""The member `powers`: how strongly and how fast the sensors of a window vary."""

import numpy as np
import tensorflow as tf

from amsl_tf.scoring.ensemble.member import Member
from amsl_tf.scoring.features.signal import band_powers, filter_bands

FLOOR = 1e-2  # of the variance in training, added to powers: less is noise


class Powers(Member):
    """Logarithms of the power of each sensor in frequency bands."""

    def describe(self, windows: tf.Tensor) -> tf.Tensor:
        """Computes the logarithms of the powers in K bands, float32 (B, K * S)."""
        powers = tf.math.log(band_powers(windows) + FLOOR)
        return tf.reshape(powers, (-1, powers.shape[1] * powers.shape[2]))

    def sensors(self, features: int, sensors: int) -> np.ndarray:
        """Returns the sensor of each feature: all sensors in turn, for each band."""
        return np.arange(features, dtype=np.int32) % sensors

    def divide_by_time(self, windows: tf.Tensor, parts: tf.Tensor, slopes: tf.Tensor) -> tf.Tensor:
        """Divides the part of a power in proportion to the power at each time step; logarithms are linearised.

        A power is the mean over time of the square of the filtered signal.
        """
        powers = band_powers(windows)
        squares = tf.square(filter_bands(windows))  # (B, K, T, S)
        local = powers[:, :, None] * tf.math.divide_no_nan(squares, tf.reduce_mean(squares, axis=2, keepdims=True))
        slopes = tf.reshape(slopes, (-1, powers.shape[1], powers.shape[2])) / (powers + FLOOR)
        steps = windows.shape[1]
        difference = tf.einsum("bkts,bks->bt", local - powers[:, :, None], slopes) / steps
        return difference + super().divide_by_time(windows, parts, slopes)
