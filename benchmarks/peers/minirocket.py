"""Distance to the nearest training window by MiniRocket features (Dempster et al., KDD 2021), from aeon, standardised."""

import numpy as np
from aeon.transformations.collection.convolution_based import MiniRocket

from benchmarks.baselines.on_features import standardised
from benchmarks.controls import nearest
from benchmarks.features import channels_first
from benchmarks.peers.adaptors import on_windows
from benchmarks.peers.interface import ItemScore


def method(normal: np.ndarray, seed: int) -> ItemScore:
    """Fits the biases of the kernels, which are fixed, and the distance to windows (N, T, C)."""
    rocket = MiniRocket(random_state=seed, n_jobs=-1).fit(channels_first(normal))
    score = standardised(nearest, rocket.transform(channels_first(normal)))
    return lambda windows: score(rocket.transform(channels_first(windows)))


fit = on_windows(method)
