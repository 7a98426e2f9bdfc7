"""The view `smoothed`: low-pass filtered."""

from typing import Any

import numpy as np
import tensorflow as tf
from scipy.signal import savgol_coeffs, savgol_filter

WINDOW_LENGTH, POLYNOMIAL_ORDER = 11, 2


def transform(windows: tf.Tensor, draw: Any) -> tf.Tensor:
    """Filters each channel with a Savitzky-Golay filter (11 steps, order 2).

    The first and last 5 steps are those of the first and last polynomial, as in `scipy.signal.savgol_filter` with
    `mode="interp"`.

    Args:
        windows: float32 (B, T, C), T at least 11.
        draw: Ignored, as nothing is random.

    Returns:
        float32 (B, T, C).
    """
    half = WINDOW_LENGTH // 2
    edges = savgol_filter(np.eye(WINDOW_LENGTH), WINDOW_LENGTH, POLYNOMIAL_ORDER, axis=0).astype(np.float32)
    weights = savgol_coeffs(WINDOW_LENGTH, POLYNOMIAL_ORDER).astype(np.float32)
    inner = windows.shape[1] - 2 * half
    return tf.concat(
        [
            tf.einsum("es,bsc->bec", edges[:half], windows[:, :WINDOW_LENGTH]),
            tf.add_n([weight * windows[:, step : step + inner] for step, weight in enumerate(weights)]),
            tf.einsum("es,bsc->bec", edges[-half:], windows[:, -WINDOW_LENGTH:]),
        ],
        axis=1,
    )
