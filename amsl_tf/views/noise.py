"""The view `noise`: additive noise."""

import tensorflow as tf

SNR_DB = 5.0  # decibels


def draw(seed: tf.Tensor, shape: tuple[int, int]) -> tf.Tensor:
    """Draws the noise of one window.

    Args:
        seed: int (2,).
        shape: (T, C) of the window.

    Returns:
        float32 (T, C), standard normal; `transform` fits it to the power of the window.
    """
    return tf.random.stateless_normal(shape, seed)


def transform(windows: tf.Tensor, draw: tf.Tensor) -> tf.Tensor:
    """Adds zero-mean noise at a signal-to-noise ratio of exactly 5 dB over each window.

    Args:
        windows: float32 (B, T, C).
        draw: float32 (B, T, C), the noise of each window, or (1, T, C), the noise of all; of any scale.

    Returns:
        float32 (B, T, C).
    """
    pattern = draw - tf.reduce_mean(draw, axis=(1, 2), keepdims=True)
    pattern /= tf.math.reduce_std(pattern, axis=(1, 2), keepdims=True)
    largest = tf.reduce_max(tf.abs(windows), axis=(1, 2), keepdims=True)  # normalised by it, squares cannot overflow
    root_power = largest * tf.sqrt(tf.reduce_mean(tf.math.divide_no_nan(windows, largest) ** 2, axis=(1, 2), keepdims=True))
    return windows + 10.0 ** (-SNR_DB / 20.0) * root_power * pattern
