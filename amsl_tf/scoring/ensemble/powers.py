"""The member `powers`: how strongly and how fast the sensors of a window vary."""

import tensorflow as tf

from amsl_tf.scoring.ensemble.member import Member
from amsl_tf.scoring.features.signal import band_powers

FLOOR = 1e-2  # of the variance in training, added to powers: less is noise


class Powers(Member):
    """Logarithms of the power of each sensor in frequency bands."""

    def describe(self, windows: tf.Tensor) -> tf.Tensor:
        """Computes the logarithms of the powers in K bands, float32 (B, K * S)."""
        powers = tf.math.log(band_powers(windows) + FLOOR)
        return tf.reshape(powers, (-1, powers.shape[1] * powers.shape[2]))
