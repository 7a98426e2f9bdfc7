"""Copula-based outlier detection (COPOD: Li et al., ICDM 2020), as pyod has it.

Of each feature the tail that skewness picks, or the mean of both tails.
"""

from functools import partial

import numpy as np

from benchmarks.baselines.on_features import fit_best
from benchmarks.baselines.tails import by_tails


def join(left: np.ndarray, right: np.ndarray, lean: float) -> np.ndarray:
    joined: np.ndarray = np.maximum(left if lean < 0 else right, (left + right) / 2)
    return joined


fit = partial(fit_best, {"no settings": partial(by_tails, join)})
