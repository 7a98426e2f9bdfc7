"""Detectors that need no network, for comparison: two methods on a few kinds of features, with scikit-learn."""

from collections.abc import Callable
from typing import Protocol

import numpy as np
from sklearn.decomposition import PCA
from sklearn.model_selection import KFold, LeaveOneGroupOut
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

from amsl_tf.data.dsads import AXES

FOLDS = 10
COMPONENTS = {"spectra": 200, "norm_spectra": 100}  # of the PCA


def raw(x: np.ndarray) -> np.ndarray:
    """The windows as they are: (N, T, C) to (N, T C)."""
    return x.reshape(len(x), -1)


def statistics(x: np.ndarray) -> np.ndarray:
    """Mean, standard deviation, minimum, maximum and magnitudes of the spectrum of each channel."""
    parts = [x.mean(axis=1), x.std(axis=1), x.min(axis=1), x.max(axis=1), raw(_magnitudes(x))]
    return np.concatenate(parts, axis=1)


def spectra(x: np.ndarray) -> np.ndarray:
    """Mean, logarithm of the deviation and logarithm of the spectrum of each channel."""
    return np.concatenate([x.mean(axis=1), np.log(x.std(axis=1) + 1e-3), raw(np.log(_magnitudes(x) + 1e-2))], axis=1)


def norm_spectra(x: np.ndarray) -> np.ndarray:
    """The same of the norms of three-axis sensors, which do not depend on how a sensor is turned."""
    return spectra(np.linalg.norm(x.reshape(*x.shape[:2], -1, AXES), axis=3))


def _magnitudes(x: np.ndarray) -> np.ndarray:
    """Of the spectrum without its constant, (N, T // 2, C)."""
    return np.abs(np.fft.rfft(x - x.mean(axis=1, keepdims=True), axis=1))[:, 1:]


class Method(Protocol):
    """Fitted to standardised features (N, D) of normal windows, scores those of others (M, D)."""

    def __call__(self, normal: np.ndarray) -> Callable[[np.ndarray], np.ndarray]: ...


def nearest(normal: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Distance to the nearest normal window."""
    search = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(normal)
    return lambda features: search.kneighbors(features)[0][:, 0]


def pca(components: int) -> Method:
    """Squared distance from the principal components of the normal windows."""

    def fit(normal: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        model = PCA(components, svd_solver="randomized", random_state=0).fit(normal)
        return lambda features: np.square(features - model.inverse_transform(model.transform(features))).sum(axis=1)

    return fit


CONTROLS: dict[str, tuple[Callable[[np.ndarray], np.ndarray], Method]] = {
    "nearest_raw": (raw, nearest),
    "nearest_statistics": (statistics, nearest),
    "nearest_spectra": (spectra, nearest),
    "nearest_norm_spectra": (norm_spectra, nearest),
    "pca_spectra": (spectra, pca(COMPONENTS["spectra"])),
    "pca_norm_spectra": (norm_spectra, pca(COMPONENTS["norm_spectra"])),
}


def fit(name: str, train: np.ndarray, groups: np.ndarray | None) -> tuple[np.ndarray, Callable[[np.ndarray], np.ndarray]]:
    """Scores of normal training windows by one of `CONTROLS`, and what scores others, (M, T, C) to (M,).

    Args:
        name: Of the control.
        train: (N, T, C).
        groups: (N,), the person of each training window: each person's scores then come from a fit without that person. Without
            it they come from a fit without a tenth of the windows.
    """
    describe, method = CONTROLS[name]
    features = describe(train).astype(np.float32)
    scaler = StandardScaler().fit(features)
    features = scaler.transform(features)
    folds = KFold(FOLDS, shuffle=True, random_state=0) if groups is None else LeaveOneGroupOut()
    scores = np.empty(len(train))
    for kept, left_out in folds.split(features, groups=groups):
        scores[left_out] = method(features[kept])(features[left_out])
    score = method(features)
    return scores, lambda windows: score(scaler.transform(describe(windows).astype(np.float32)))
