"""Nearest neighbour on MiniRocket features (Dempster et al., KDD 2021), from aeon.

The kernels are fixed. Their biases are quantiles of their outputs on all normal training windows, also during cross-validation.
"""

from time import perf_counter

import numpy as np
from aeon.transformations.collection.convolution_based import MiniRocket

from benchmarks.baselines.interface import FittedBaseline, NormalData
from benchmarks.baselines.on_features import fit as fit_on_features
from benchmarks.controls import nearest
from benchmarks.features import channels_first


def fit(normal: NormalData) -> FittedBaseline:
    start = perf_counter()
    rocket = MiniRocket(random_state=normal.seed, n_jobs=-1).fit(channels_first(normal.x))
    kernel_seconds = perf_counter() - start

    def describe(x: np.ndarray) -> np.ndarray:
        described: np.ndarray = rocket.transform(channels_first(x))
        return described

    training_scores, score, seconds = fit_on_features(describe, nearest, normal.x, normal.groups)
    selected = {"features": "MiniRocket"}
    return FittedBaseline(training_scores, normal.groups, score, kernel_seconds + seconds, selected=selected)
