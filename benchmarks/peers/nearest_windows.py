"""Distance to the nearest training window, a control without features."""

import numpy as np

from benchmarks.controls import nearest
from benchmarks.features import raw
from benchmarks.peers.adaptors import on_windows
from benchmarks.peers.interface import ItemScore


def method(normal: np.ndarray, seed: int) -> ItemScore:
    """Fits the distance to windows (N, T, C)."""
    score = nearest(raw(normal))
    return lambda windows: score(raw(windows))


fit = on_windows(method)
