"""What a detector keeps of its training windows besides the scores, and a warning if they are too few."""

import logging
import math

import numpy as np

log = logging.getLogger(__name__)

EXAMPLES = 8  # training windows that a detector keeps
RANGE = (0.005, 0.995)  # quantiles of the rows of training windows
RANGE_WINDOWS = 2000  # evenly spaced windows from which they are computed, at most


def spread(count: int, most: int) -> np.ndarray:
    """Returns up to `most` evenly spaced positions of `count` windows, int64 (n,)."""
    return np.linspace(0, count - 1, min(most, count)).astype(np.int64)


def find_range(windows: np.ndarray) -> np.ndarray:
    """Computes the usual range of each channel of windows (N, T, C), float32 (2, C), in its units."""
    return np.quantile(windows, RANGE, axis=(0, 1)).astype(np.float32)


def warn_of_few(different: int, rate: float, *, is_overlapping: bool) -> None:
    """Logs a warning if windows are too few for a false-alarm rate.

    Args:
        different: The number of different windows, or of separate ones if they overlap: those that do say little more.
        rate: The nominal false-alarm rate.
        is_overlapping: Whether windows overlap.
    """
    if different * rate < 1:
        kind = "separate" if is_overlapping else "different"
        log.warning(
            f"{different} {kind} training windows are too few for a false-alarm rate of {rate:g}, which needs "
            f"{math.ceil(1 / rate)} or more: new normal windows will be flagged more often."
        )
