"""The member `levels`: which values the sensors take in a window."""

import tensorflow as tf

from amsl_tf.scoring.ensemble.member import Member
from amsl_tf.scoring.features.signal import quantiles


class Levels(Member):
    """Quantiles of each sensor over the window: its level and its spread."""

    def describe(self, windows: tf.Tensor) -> tf.Tensor:
        """Computes 5 quantiles of each sensor, float32 (B, 5 * S)."""
        levels = quantiles(windows)
        return tf.reshape(levels, (-1, levels.shape[1] * levels.shape[2]))
