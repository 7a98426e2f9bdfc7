"""Matrix profile (Yeh et al., ICDM 2016) of a recording against the training recordings: an AB-join of each channel.

The distance of a window is that to the nearest training window, each standardised by itself; it is searched for in each channel
separately, and the score is the mean over channels. The distance between two constant windows is 0, between a constant one and
another sqrt(T). The values are those of the package stumpy, by matrix multiplication: it needs no compilation, and less time as
not all windows are compared, but at most 10,000 of training and one in every eighth of a window of the others.
"""

import numpy as np

from benchmarks.peers.adaptors import MAX_ITEMS, on_windows
from benchmarks.peers.interface import ItemScore

CONSTANT_BELOW = 1e-5  # of a standardised channel: smaller deviations are rounding errors


def method(normal: np.ndarray, seed: int) -> ItemScore:
    """Fits the distances to windows (N, T, C)."""
    channels = _standardised(normal)
    norms = np.square(channels).sum(axis=2)

    def score(windows: np.ndarray) -> np.ndarray:
        distances = []
        for x, y, norm in zip(_standardised(windows), channels, norms, strict=True):
            nearest = np.argmin(norm - 2 * x @ y.T, axis=1)
            distances.append(np.linalg.norm(x - y[nearest], axis=1))
        means: np.ndarray = np.mean(distances, axis=0)
        return means

    return score


def _standardised(windows: np.ndarray) -> np.ndarray:
    """Standardises each channel of each window, (N, T, C) to (C, N, T); a constant one becomes 0."""
    channels = np.ascontiguousarray(windows.transpose(2, 0, 1))
    channels -= channels.mean(axis=2, keepdims=True)
    deviations = channels.std(axis=2, keepdims=True)
    is_constant = deviations < CONSTANT_BELOW
    standardised: np.ndarray = np.where(is_constant, 0, channels / np.where(is_constant, 1, deviations))
    return standardised


fit = on_windows(method, target=MAX_ITEMS)  # many: a window is compared with training windows in the same phase
