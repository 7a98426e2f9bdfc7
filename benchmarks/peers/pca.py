"""PCA (Shyu et al., ICDM 2003), of time steps and of flat windows: the squared distance from the principal components.

The components that explain 95 % of the variance are kept, a common share, but not all of them, so that there is a residual.
(TSB-AD keeps 25 % of the variance, for another score: the sum of distances from the components.)
"""

import numpy as np
from sklearn.decomposition import PCA

from benchmarks.features import raw
from benchmarks.peers.adaptors import on_time_steps, on_windows
from benchmarks.peers.interface import ItemScore

EXPLAINED = 0.95


def method(normal: np.ndarray, seed: int) -> ItemScore:
    """Fits the residual to time steps (N, C) or windows (N, T, C)."""
    model = PCA(svd_solver="full").fit(raw(normal))
    variances = np.cumsum(model.explained_variance_)
    count = min(1 + int(np.argmax(variances >= EXPLAINED * variances[-1])), raw(normal).shape[1] - 1)
    components = model.components_[:count]

    def score(items: np.ndarray) -> np.ndarray:
        centred = raw(items) - model.mean_
        squares: np.ndarray = np.square(centred - centred @ components.T @ components).sum(axis=1)
        return squares

    return score


fit_steps = on_time_steps(method)
fit_windows = on_windows(method)
