"""The member `powers`: how strongly and how fast the sensors of a window vary."""

import numpy as np
import tensorflow as tf

from amsl_tf.scoring.attribution import in_turn
from amsl_tf.scoring.ensemble.member import Member
from amsl_tf.scoring.features.signal import band_powers, filter_band

FLOOR = 1e-2  # of the variance in training, added to powers: less is noise


class Powers(Member):
    """Logarithms of the power of each sensor in frequency bands."""

    def describe(self, windows: tf.Tensor) -> tf.Tensor:
        """Computes the logarithms of the powers in K bands, float32 (B, K * S)."""
        powers = tf.math.log(band_powers(windows) + FLOOR)
        return tf.reshape(powers, (-1, powers.shape[1] * powers.shape[2]))

    def sensors(self, features: int, sensors: int) -> np.ndarray:
        """Returns the sensor of each feature: all sensors in turn, for each band."""
        return in_turn(features, sensors)

    def divide_by_time(self, windows: tf.Tensor, parts: tf.Tensor, slopes: tf.Tensor) -> tf.Tensor:
        """Divides the part of a power in proportion to the power at each time step; logarithms are linearised.

        A power is the mean over time of the square of the filtered signal.
        """
        total, powers = super().divide_by_time(windows, parts, slopes), band_powers(windows)
        slopes = tf.reshape(slopes, (-1, powers.shape[1], powers.shape[2])) * powers / (powers + FLOOR)
        for place in range(powers.shape[1]):  # one after the other, in less memory
            squares = tf.square(filter_band(windows, place))
            relative = tf.math.divide_no_nan(squares, tf.reduce_mean(squares, axis=1, keepdims=True))
            total += tf.einsum("bts,bs->bt", relative - 1, slopes[:, place]) / windows.shape[1]
        return total
