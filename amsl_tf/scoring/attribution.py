"""The division of scores among sensors and time steps, for explanations."""

import numpy as np
import tensorflow as tf

ALL_SENSORS = -1  # in place of the index of a sensor, for a feature of all sensors
SMALL_EXCESS = 1e-3  # of a sum over the usual one: below it the logarithm is replaced by its series


def sum_by_sensor(values: tf.Tensor, sensors: np.ndarray, count: int) -> tf.Tensor:
    """Sums what features contribute by sensor.

    Args:
        values: (B, D), at least 0.
        sensors: int32 (D,), the sensor of each feature; `ALL_SENSORS` for those that are divided among all.
        count: S, the number of sensors.

    Returns:
        (B, S), with the same sum over each row.
    """
    # negative indices are left out
    known = tf.transpose(tf.math.unsorted_segment_sum(tf.transpose(values), sensors, count))
    rest = tf.reduce_sum(values, axis=1, keepdims=True) - tf.reduce_sum(known, axis=1, keepdims=True)
    return known + tf.maximum(rest, 0) / count


def divide(total: tf.Tensor, amounts: tf.Tensor) -> tf.Tensor:
    """Divides totals (B,) in proportion to amounts (B, K), at least 0, or equally where all are 0: (B, K)."""
    whole = tf.reduce_sum(amounts, axis=1, keepdims=True)
    shares = tf.where(whole > 0, tf.math.divide_no_nan(amounts, whole), tf.cast(1 / amounts.shape[1], amounts.dtype))
    return total[:, None] * shares


def divide_logarithm(value: tf.Tensor, amounts: tf.Tensor, usual: tf.Tensor) -> tf.Tensor:
    """Divides the logarithm of a sum, relative to the usual sum, among the amounts that are added.

    With D the sum of the amounts, and U that of the usual ones, the value is log(D / U) / 2. Its integrated gradients along the
    line from the usual amounts to these are (amount - usual amount) value / (D - U): negative where there is less than usual.

    Args:
        value: float32 (B,).
        amounts: float32 (B, K).
        usual: float32 (K,) or (B, K), with a sum above 0 in each row.

    Returns:
        float32 (B, K), whose sum over each row is the value.

    Reference:
        Sundararajan et al., Axiomatic Attribution for Deep Networks, ICML 2017.
    """
    total = tf.reduce_sum(usual, axis=-1)
    excess = (tf.reduce_sum(amounts, axis=1) - total) / total
    is_small = tf.abs(excess) < SMALL_EXCESS
    slope = tf.where(is_small, 0.5 - excess / 4, value / tf.where(is_small, 1.0, excess)) / total
    return slope[:, None] * (amounts - usual)
