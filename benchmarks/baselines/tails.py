"""What ECOD and COPOD have in common: how far out in the tails of the normal windows each feature lies.

As the package pyod computes them: a window's score is a sum over features, where the papers take the largest of three sums. But
pyod ranks windows among all that are scored with them, so that a window's score depends on its neighbours; here each is ranked
among the normal ones and itself.
"""

from collections.abc import Callable

import numpy as np
from scipy.stats import skew

from benchmarks.baselines.interface import Score

# of the left and the right tail of one feature (M,), and the sign of its skewness: what it adds to the score
Join = Callable[[np.ndarray, np.ndarray, float], np.ndarray]


def by_tails(join: Join, normal: np.ndarray) -> Score:
    """The sum over features of what `join` makes of their tails, each the negative logarithm of a share of the windows."""
    columns = np.sort(np.ascontiguousarray(normal.T), axis=1)
    leans = np.sign(skew(normal, axis=0))
    shares = -np.log(np.arange(1, len(normal) + 2) / (len(normal) + 1))  # of so many windows and the one that is scored

    def score(described: np.ndarray) -> np.ndarray:
        total = np.zeros(len(described))
        for column, lean, values in zip(columns, leans, np.ascontiguousarray(described.T), strict=True):
            below, above = np.searchsorted(column, values, "right"), len(column) - np.searchsorted(column, values, "left")
            total += join(shares[below], shares[above], lean)
        return total

    return score
