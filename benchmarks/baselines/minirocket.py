"""Nearest neighbour on the features of MiniRocket (Dempster et al., KDD 2021), with aeon.

Its kernels are fixed; their biases are quantiles of what they give on normal training windows, those included that are left
out in turn for own scores.
"""

from time import perf_counter

import numpy as np
from aeon.transformations.collection.convolution_based import MiniRocket

from benchmarks.baselines.interface import Fitted, Normal
from benchmarks.baselines.on_features import fit as fit_on_features
from benchmarks.controls import nearest


def fit(normal: Normal) -> Fitted:
    start = perf_counter()
    rocket = MiniRocket(random_state=normal.seed, n_jobs=-1).fit(_channels_first(normal.x))
    of_kernels = perf_counter() - start

    def describe(x: np.ndarray) -> np.ndarray:
        described: np.ndarray = rocket.transform(_channels_first(x))
        return described

    own, score, seconds = fit_on_features(describe, nearest, normal.x, normal.groups)
    return Fitted(own, normal.groups, score, of_kernels + seconds, about={"features": "MiniRocket"})


def _channels_first(x: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(x.transpose(0, 2, 1))
