"""Empirical cumulative distributions (ECOD: Li et al., TKDE 2022), as pyod has them: the farther tail of each feature."""

from functools import partial

import numpy as np

from benchmarks.baselines.on_features import fit_best
from benchmarks.baselines.tails import by_tails


def join(left: np.ndarray, right: np.ndarray, lean: float) -> np.ndarray:
    farther: np.ndarray = np.maximum(left, right)  # the tail that skewness picks is one of them
    return farther


fit = partial(fit_best, {"no settings": partial(by_tails, join)})
