"""Copula-based outlier detection (COPOD: Li et al., ICDM 2020), as implemented in pyod.

The larger of the tail that the skewness selects and the mean of both tails counts for each feature.
"""

from functools import partial

import numpy as np

from benchmarks.baselines.on_features import fit_best
from benchmarks.baselines.tails import by_tails


def join(left: np.ndarray, right: np.ndarray, skewness: float) -> np.ndarray:
    joined: np.ndarray = np.maximum(left if skewness < 0 else right, (left + right) / 2)
    return joined


fit = partial(fit_best, {"no settings": partial(by_tails, join)})
