"""Detectors that need no network, for comparison: two methods on a few kinds of features, with scikit-learn, and a part of the
nearest-normal score.
"""

from time import perf_counter

import numpy as np
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

from amsl_tf.config import DetectorConfig
from amsl_tf.data.dsads import AXES
from amsl_tf.scoring.bank import fit_bank
from amsl_tf.scoring.signal import describe_signal
from benchmarks import features
from benchmarks.baselines import on_features
from benchmarks.baselines.interface import Score

SIGNAL = "signal"
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


def fit_signal(x: np.ndarray, groups: np.ndarray | None) -> tuple[np.ndarray, Score, float]:
    """What of the nearest-normal score comes from the raw windows alone, as `on_features.fit` gives it."""
    start = perf_counter()
    defaults, everyone = DetectorConfig(), np.zeros(len(x))
    _, numbers = np.unique(everyone if groups is None else groups, return_inverse=True)
    bank, own = fit_bank(describe_signal(x, AXES).numpy().astype(float), numbers, defaults.bank_size, seed=0)
    seconds = perf_counter() - start
    return own, lambda windows: bank.score(describe_signal(windows, AXES).numpy().astype(float)).numpy(), seconds


def fit(name: str, train: np.ndarray, groups: np.ndarray | None) -> tuple[np.ndarray, Score, float]:
    """Scores of normal training windows (N, T, C) by one of `CONTROLS` or `SIGNAL`, what scores others, and seconds."""
    return fit_signal(train, groups) if name == SIGNAL else on_features.fit(*CONTROLS[name], train, groups)
