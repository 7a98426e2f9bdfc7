"""Copula-based outlier detection (COPOD: Li et al., ICDM 2020): the tail that skewness picks, or the mean of both."""

from functools import partial

import numpy as np

from benchmarks.baselines.on_features import fit_best
from benchmarks.baselines.tails import by_tails


def join(left: np.ndarray, right: np.ndarray, picked: np.ndarray) -> np.ndarray:
    return np.maximum(picked, (left + right) / 2)


fit = partial(fit_best, {"no settings": partial(by_tails, join)})
