"""Controls, detectors without a network: two methods on several features of windows, and a part of the nearest-normal score."""

from time import perf_counter

import numpy as np
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

from amsl_tf.config import DetectorConfig
from amsl_tf.datasets.dsads import AXES
from amsl_tf.scoring.features.signal import describe_signal
from amsl_tf.scoring.members.bank import fit_bank
from benchmarks import features
from benchmarks.baselines import on_features
from benchmarks.baselines.interface import Score

SIGNAL = "signal"
COMPONENTS = {"spectra": 200, "norm_spectra": 100}  # of the PCA


def nearest(normal: np.ndarray) -> Score:
    """Fits a score to normal features (N, D): the distance to the nearest normal window."""
    search = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(normal)
    return lambda described: search.kneighbors(described)[0][:, 0]


def pca(components: int) -> on_features.Method:
    """Returns a method: the squared distance from the principal components of the normal windows."""

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
    """Fits the signal member of the nearest-normal score alone; the result is that of `on_features.fit`."""
    start = perf_counter()
    defaults = DetectorConfig()
    _, numbers = np.unique(np.zeros(len(x)) if groups is None else groups, return_inverse=True)
    bank, training_scores, _ = fit_bank(describe_signal(x, AXES).numpy().astype(float), numbers, defaults.bank_size, seed=0)
    seconds = perf_counter() - start
    return training_scores, lambda windows: bank.score(describe_signal(windows, AXES).numpy().astype(float)).numpy(), seconds


def fit(name: str, train: np.ndarray, groups: np.ndarray | None) -> tuple[np.ndarray, Score, float]:
    """Fits one of `CONTROLS`, or `SIGNAL`, to normal windows (N, T, C).

    Returns:
        The scores of the training windows, each left out (N,); the score of other windows; and the seconds of the fit.
    """
    return fit_signal(train, groups) if name == SIGNAL else on_features.fit(*CONTROLS[name], train, groups)
