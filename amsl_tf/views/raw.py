"""The view `raw`: the window itself."""

from typing import Any

import tensorflow as tf


def transform(windows: tf.Tensor, draw: Any) -> tf.Tensor:
    """Returns the windows themselves.

    Args:
        windows: float32 (B, T, C).
        draw: Ignored, as nothing is random.

    Returns:
        float32 (B, T, C).
    """
    return windows
