"""What ECOD and COPOD have in common: how far out in the tails of the normal windows each feature lies.

The detectors of pyod rank windows among all that are scored with them, so that a window's score depends on its neighbours; here
each is ranked among the normal ones and itself.
"""

from collections.abc import Callable

import numpy as np
from scipy.stats import skew

from benchmarks.baselines.interface import Score

CHUNK = 512  # windows that are scored at once

Join = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]  # left tails, right tails and those that skewness picks


def by_tails(join: Join, normal: np.ndarray) -> Score:
    """The sum over features of what `join` makes of their tails, each the negative logarithm of a share of the windows."""
    columns = np.sort(normal, axis=0).T
    lean = np.sign(skew(normal, axis=0))

    def tails(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        pairs = list(zip(columns, x.T, strict=True))
        below = np.stack([np.searchsorted(column, values, "right") for column, values in pairs], axis=1)
        above = len(normal) - np.stack([np.searchsorted(column, values, "left") for column, values in pairs], axis=1)
        left, right = (-np.log((count + 1) / (len(normal) + 1)) for count in (below, above))
        return left, right

    def score(described: np.ndarray) -> np.ndarray:
        parts = []
        for start in range(0, len(described), CHUNK):
            left, right = tails(described[start : start + CHUNK])
            picked = np.where(lean < 0, left, np.where(lean > 0, right, left + right))
            parts.append(join(left, right, picked).sum(axis=1))
        return np.concatenate(parts)

    return score
