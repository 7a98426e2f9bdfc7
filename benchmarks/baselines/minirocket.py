"""Nearest neighbour on the features of MiniRocket (Dempster et al., KDD 2021), with aeon.

Its kernels are fixed; their biases are quantiles of what they give on normal training windows.
"""

import numpy as np
from aeon.transformations.collection.convolution_based import MiniRocket

from benchmarks.baselines.interface import Fitted, Normal
from benchmarks.baselines.on_features import fit_best
from benchmarks.controls import nearest


def fit(normal: Normal) -> Fitted:
    rocket = MiniRocket(random_state=normal.seed).fit(_channels_first(normal.x))

    def describe(x: np.ndarray) -> np.ndarray:
        described: np.ndarray = rocket.transform(_channels_first(x))
        return described

    return fit_best({"1 neighbour": nearest}, normal, {"MiniRocket": describe})


def _channels_first(x: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(x.transpose(0, 2, 1))
