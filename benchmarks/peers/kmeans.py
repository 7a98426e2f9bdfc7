"""Distance of a window to the nearest of 10 cluster centres (k-means: Yairi et al., i-SAIRAS 2001), from scikit-learn.

The number of clusters is that of TSB-AD; there a window has 40 steps and is standardised by itself, here it is that of the data
set, with channels standardised by the training data as for all peers.
"""

import numpy as np
from sklearn.cluster import KMeans

from benchmarks.features import raw
from benchmarks.peers.adaptors import on_windows
from benchmarks.peers.interface import ItemScore

CLUSTERS = 10


def method(normal: np.ndarray, seed: int) -> ItemScore:
    """Fits the centres to windows (N, T, C)."""
    model = KMeans(min(CLUSTERS, len(normal)), random_state=seed).fit(raw(normal))
    return lambda windows: model.transform(raw(windows)).min(axis=1)


fit = on_windows(method)
