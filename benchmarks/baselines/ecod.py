"""Empirical cumulative distributions (ECOD: Li et al., TKDE 2022), as implemented in pyod: the larger tail of each feature."""

from functools import partial

import numpy as np

from benchmarks.baselines.on_features import fit_best
from benchmarks.baselines.tails import by_tails


def join(left: np.ndarray, right: np.ndarray, skewness: float) -> np.ndarray:
    larger: np.ndarray = np.maximum(left, right)  # the tail that the skewness selects is one of them
    return larger


fit = partial(fit_best, {"no settings": partial(by_tails, join)})
