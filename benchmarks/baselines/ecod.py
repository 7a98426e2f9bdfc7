"""Empirical cumulative distributions (ECOD: Li et al., TKDE 2022): the farthest tail of each feature."""

from functools import partial

import numpy as np

from benchmarks.baselines.on_features import fit_best
from benchmarks.baselines.tails import by_tails


def join(left: np.ndarray, right: np.ndarray, picked: np.ndarray) -> np.ndarray:
    return np.maximum(np.maximum(left, right), picked)


fit = partial(fit_best, {"no settings": partial(by_tails, join)})
