"""The view `scaled`: another amplitude."""

import tensorflow as tf

FACTORS = (0.5, 2.0, 1.5, 0.8)


def draw(seed: tf.Tensor, shape: tuple[int, int]) -> tf.Tensor:
    """Draws the factor of one window.

    Args:
        seed: int (2,).
        shape: (T, C) of the window; the factor does not depend on it.

    Returns:
        float32 (), one of `FACTORS`.
    """
    return tf.gather(tf.constant(FACTORS), tf.random.stateless_uniform((), seed, maxval=len(FACTORS), dtype=tf.int32))


def transform(windows: tf.Tensor, draw: tf.Tensor) -> tf.Tensor:
    """Multiplies windows by their factor, one of 0.5, 2, 1.5 and 0.8.

    Args:
        windows: float32 (B, T, C).
        draw: float32 (B,), the factor of each window, or (1,), the factor of all.

    Returns:
        float32 (B, T, C).
    """
    return windows * draw[:, None, None]
