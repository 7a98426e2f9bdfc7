"""The view `permuted`: segments of the window in random order."""

import numpy as np
import tensorflow as tf

SEGMENTS = 5


def draw(seed: tf.Tensor, shape: tuple[int, int]) -> tf.Tensor:
    """Draws the order of the segments of one window.

    Args:
        seed: int (2,).
        shape: (T, C) of the window; the order does not depend on it.

    Returns:
        int32 (5,), the segment at each place.
    """
    return tf.argsort(tf.random.stateless_uniform((SEGMENTS,), seed))


def transform(windows: tf.Tensor, draw: tf.Tensor) -> tf.Tensor:
    """Reorders five segments in time, split as `np.array_split` does where 5 does not divide T.

    Args:
        windows: float32 (B, T, C).
        draw: int32 (B, 5), the order of each window, or (1, 5), the order of all.

    Returns:
        float32 (B, T, C).
    """
    steps = windows.shape[1]
    segment_of_step = np.repeat(np.arange(SEGMENTS), [len(part) for part in np.array_split(np.arange(steps), SEGMENTS)])
    place_of_segment = tf.argsort(draw, axis=1)  # the inverse permutation
    rows = tf.argsort(tf.gather(place_of_segment, segment_of_step, axis=1), axis=1, stable=True)
    return tf.gather(windows, tf.broadcast_to(rows, (tf.shape(windows)[0], steps)), batch_dims=1)
