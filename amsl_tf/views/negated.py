"""The view `negated`: the sign changed."""

from typing import Any

import tensorflow as tf


def transform(windows: tf.Tensor, draw: Any) -> tf.Tensor:
    """Changes the sign of windows.

    Args:
        windows: float32 (B, T, C).
        draw: Ignored, as nothing is random.

    Returns:
        float32 (B, T, C).
    """
    return -windows
