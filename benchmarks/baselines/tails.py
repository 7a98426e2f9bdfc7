"""The tail probabilities of ECOD and COPOD: how far out in the tails of the normal windows each feature lies.

As in the package pyod, the score of a window is a sum over features, while the papers take the largest of three sums. Unlike in
pyod, which ranks windows among all that are scored together, each window is ranked among the normal ones and itself only, so
that its score does not depend on other windows.
"""

from collections.abc import Callable

import numpy as np
from scipy.stats import skew

from benchmarks.baselines.interface import Score

# the left and right tail of one feature (M,) and the sign of its skewness, to its contribution to the score (M,)
Join = Callable[[np.ndarray, np.ndarray, float], np.ndarray]


def by_tails(join: Join, normal: np.ndarray) -> Score:
    """Fits a score to normal features (N, D).

    It is the sum over features of `join` of both tails, each the negative logarithm of the share of windows in the tail.
    """
    columns = np.sort(np.ascontiguousarray(normal.T), axis=1)
    skewness = np.sign(skew(normal, axis=0))
    shares = -np.log(np.arange(1, len(normal) + 2) / (len(normal) + 1))  # the scored window counts itself

    def score(described: np.ndarray) -> np.ndarray:
        total = np.zeros(len(described))
        for column, sign, values in zip(columns, skewness, np.ascontiguousarray(described.T), strict=True):
            below, above = np.searchsorted(column, values, "right"), len(column) - np.searchsorted(column, values, "left")
            total += join(shares[below], shares[above], sign)
        return total

    return score
