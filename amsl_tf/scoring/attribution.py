"""The division of scores among sensors and time steps, for explanations."""

import numpy as np
import tensorflow as tf

ALL_SENSORS = -1  # in place of the index of a sensor, for a feature of all sensors
TINY = 1e-30  # in place of a sum of 0
LARGEST_LOGARITHM = 20.0  # whose exponential float32 holds
SMALL_EXCESS = 1e-3  # of a sum over the usual one: below it the logarithm is replaced by its series


def in_turn(features: int, sensors: int) -> np.ndarray:
    """Returns the sensor of each of D features that describe all S sensors in turn, int32 (D,)."""
    return np.arange(features, dtype=np.int32) % sensors


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


def divide(value: tf.Tensor, amounts: tf.Tensor) -> tf.Tensor:
    """Divides values (B,) among amounts (B, K), at least 0: larger amounts have larger contributions, also of negative values.

    The usual amounts of `divide_logarithm` are equal here, and their sum is the one that fits the value.
    """
    amounts = tf.convert_to_tensor(amounts)
    total, count = tf.maximum(tf.reduce_sum(amounts, axis=1, keepdims=True), TINY), amounts.shape[1]
    usual = total * tf.exp(-2 * tf.clip_by_value(value, -LARGEST_LOGARITHM, LARGEST_LOGARITHM))[:, None]
    return divide_logarithm(value, amounts, tf.repeat(usual / count, count, axis=1))


def divide_logarithm(value: tf.Tensor, amounts: tf.Tensor, usual: tf.Tensor) -> tf.Tensor:
    """Divides the logarithm of a sum, relative to the usual sum, among the amounts that are added.

    With D the sum of the amounts, and U that of the usual ones, the value is log(D / U) / 2. Its integrated gradients along the
    line from the usual amounts to these are (amount - usual amount) value / (D - U): negative where there is less than usual.

    Args:
        value: (B,).
        amounts: (B, K).
        usual: (K,) or (B, K), with a sum above 0 in each row.

    Returns:
        (B, K), whose sum over each row is the value.

    Reference:
        Sundararajan et al., Axiomatic Attribution for Deep Networks, ICML 2017.
    """
    total = tf.reduce_sum(usual, axis=-1)
    excess = (tf.reduce_sum(amounts, axis=1) - total) / total
    is_small = tf.abs(excess) < SMALL_EXCESS
    slope = tf.where(is_small, 0.5 - excess / 4, value / tf.where(is_small, tf.ones_like(excess), excess)) / total
    return slope[:, None] * (amounts - usual)
