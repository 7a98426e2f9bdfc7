"""Mean distance of a window to its 5 nearest neighbours by the mean, log deviation and log spectrum of each channel."""

import numpy as np

from benchmarks.baselines.on_features import standardised
from benchmarks.features import spectra
from benchmarks.peers.adaptors import on_windows
from benchmarks.peers.from_pyod import mean_distance
from benchmarks.peers.interface import ItemScore

NEIGHBOURS = 5  # the most common number


def method(normal: np.ndarray, seed: int) -> ItemScore:
    """Fits the distance to standardised features of windows (N, T, C)."""
    score = standardised(lambda described: mean_distance(NEIGHBOURS)(described, seed), spectra(normal))
    return lambda windows: score(spectra(windows))


fit = on_windows(method)
