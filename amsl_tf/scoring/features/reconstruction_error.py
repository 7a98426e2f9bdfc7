"""The feature `error`: logarithms of reconstruction errors."""

import tensorflow as tf

from amsl_tf.scoring.features import FeatureInputs

LOG_FLOOR = 1e-7  # added to squared errors, in scaled units, before the logarithm


def log_errors(inputs: FeatureInputs) -> tf.Tensor:
    """Computes the natural logarithm of the squared error of each view and channel, float64 (B, R * C)."""
    views, channels = inputs.error.shape[1:]
    return tf.math.log(tf.reshape(tf.cast(inputs.error, tf.float64), (-1, views * channels)) + LOG_FLOOR)
