"""Detectors that need no network, for comparison: two methods on a few kinds of features, with scikit-learn."""

import numpy as np
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

from benchmarks import features
from benchmarks.baselines import on_features
from benchmarks.baselines.interface import Score

COMPONENTS = {"spectra": 200, "norm_spectra": 100}  # of the PCA


def nearest(normal: np.ndarray) -> Score:
    """Distance to the nearest normal window."""
    search = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(normal)
    return lambda described: search.kneighbors(described)[0][:, 0]


def pca(components: int) -> on_features.Method:
    """Squared distance from the principal components of the normal windows."""

    def fit(normal: np.ndarray) -> Score:
        model = PCA(components, svd_solver="randomized", random_state=0).fit(normal)
        return lambda described: np.square(described - model.inverse_transform(model.transform(described))).sum(axis=1)

    return fit


CONTROLS: dict[str, tuple[on_features.Describe, on_features.Method]] = {
    "nearest_raw": (features.raw, nearest),
    "nearest_statistics": (features.statistics, nearest),
    "nearest_spectra": (features.spectra, nearest),
    "nearest_norm_spectra": (features.norm_spectra, nearest),
    "pca_spectra": (features.spectra, pca(COMPONENTS["spectra"])),
    "pca_norm_spectra": (features.norm_spectra, pca(COMPONENTS["norm_spectra"])),
}


def fit(name: str, train: np.ndarray, groups: np.ndarray | None) -> tuple[np.ndarray, Score, float]:
    """`on_features.fit` of one of `CONTROLS`: scores of normal training windows (N, T, C), what scores others, and seconds."""
    return on_features.fit(*CONTROLS[name], train, groups)
