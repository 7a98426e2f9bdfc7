"""The member `levels`: which values the sensors take in a window."""

import numpy as np
import tensorflow as tf

from amsl_tf.scoring.attribution import in_turn
from amsl_tf.scoring.ensemble.member import Member
from amsl_tf.scoring.features.signal import quantiles


class Levels(Member):
    """Quantiles of each sensor over the window: its level and its spread."""

    def describe(self, windows: tf.Tensor) -> tf.Tensor:
        """Computes 5 quantiles of each sensor, float32 (B, 5 * S)."""
        levels = quantiles(windows)
        return tf.reshape(levels, (-1, levels.shape[1] * levels.shape[2]))

    def sensors(self, features: int, sensors: int) -> np.ndarray:
        """Returns the sensor of each feature: all sensors in turn, for each quantile."""
        return in_turn(features, sensors)

    def divide_by_time(self, windows: tf.Tensor, parts: tf.Tensor, slopes: tf.Tensor) -> tf.Tensor:
        """Divides the part of a quantile in proportion to how far values lie beyond the quantile of the nearest windows."""
        levels, total = quantiles(windows), 0.0
        shape = (-1, levels.shape[1], levels.shape[2])
        difference, parts = tf.reshape(tf.math.divide_no_nan(parts, slopes), shape), tf.reshape(parts, shape)
        for place in range(shape[1]):  # one after the other, in less memory
            nearest = levels[:, place] - difference[:, place]
            beyond = tf.nn.relu(tf.sign(difference[:, place])[:, None] * (windows - nearest[:, None]))
            whole = tf.reduce_sum(beyond, axis=1, keepdims=True)
            shares = tf.where(whole > 0, tf.math.divide_no_nan(beyond, whole), 1 / windows.shape[1])
            total += tf.einsum("bts,bs->bt", shares, parts[:, place])
        return total
