"""Distance to the nearest training window by MiniRocket features (Dempster et al., KDD 2021), from aeon, standardised."""

import numpy as np
from aeon.transformations.collection.convolution_based import MiniRocket

from benchmarks.baselines.on_features import standardised
from benchmarks.controls import nearest
from benchmarks.peers.adaptors import on_windows
from benchmarks.peers.interface import ItemScore


def method(normal: np.ndarray, seed: int) -> ItemScore:
    """Fits the biases of the kernels, which are fixed, and the distance to windows (N, T, C)."""
    rocket = MiniRocket(random_state=seed, n_jobs=-1).fit(_channels_first(normal))
    score = standardised(nearest, rocket.transform(_channels_first(normal)))
    return lambda windows: score(rocket.transform(_channels_first(windows)))


def _channels_first(x: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(x.transpose(0, 2, 1))


fit = on_windows(method)
