"""The scaling of channels, once for all peers."""

from collections.abc import Callable, Sequence

import numpy as np

from amsl_tf.errors import DataError

CONSTANT_BELOW = 1e-6  # of the largest value: smaller standard deviations are rounding errors of float32
CONSTANT_LIMIT = 10.0  # a channel without a scale of its own must not outweigh all others
LIMIT = 1e3  # standard deviations: beyond it everything is abnormal, and squares would lose the digits of smaller values


def fit_scaling(recordings: Sequence[np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
    """Fits the scaling of the channels to normal recordings (rows, C).

    Returns:
        A function that scales a recording to float32 (rows, C): the mean of the training rows becomes 0 and their standard
        deviation 1, and values are limited to 1,000. A channel that is constant in training is shifted and limited to 10. The
        function raises DataError for other channels and for values that are not finite.
    """
    joined = np.concatenate([_checked(recording, recordings[0].shape[-1]) for recording in recordings])
    mean, deviation = joined.mean(axis=0), joined.std(axis=0)
    is_constant = deviation <= CONSTANT_BELOW * np.abs(joined).max(axis=0)
    divisor = np.where(is_constant, 1.0, deviation)
    limit = np.where(is_constant, CONSTANT_LIMIT, LIMIT)

    def scale(recording: np.ndarray) -> np.ndarray:
        values: np.ndarray = np.clip((_checked(recording, len(mean)) - mean) / divisor, -limit, limit).astype(np.float32)
        return values

    return scale


def _checked(recording: np.ndarray, channels: int) -> np.ndarray:
    """Returns a recording in float64, as long sums in float32 are inexact."""
    if recording.ndim != 2 or recording.shape[1] != channels:
        raise DataError(f"a recording must have the shape (rows, {channels}). Received: {recording.shape}.")
    values = recording.astype(np.float64)
    if not np.isfinite(values).all():
        row, channel = np.argwhere(~np.isfinite(values))[0]
        raise DataError(
            f"a recording must be finite. Received: {values[row, channel]} in row {row}, channel {channel}. Fill or remove it."
        )
    return values
