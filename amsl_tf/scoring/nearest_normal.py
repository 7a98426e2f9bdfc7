"""The score by the nearest normal window; this project's, not the paper's."""

from dataclasses import dataclass, fields

import numpy as np
from sklearn.neighbors import NearestNeighbors

from amsl_tf.errors import DataError
from amsl_tf.scoring.base import Outputs

BANK_SIZE = 20_000  # training windows that are kept at most
LOG_FLOOR = 1e-7  # added to squared errors before the logarithm
NEAR = 0.01  # distances below this share of the median count as this share: exact repeats of windows have distance 0
RESOLUTION = 1e-4  # distance a column, in deviations, below which float32 no longer tells windows apart
ROUNDING = 1e-6  # deviations below this share of the mean are float32's rounding, not a spread


class NearestNormal:
    """How far a window is from the nearest normal training window, by its errors and by its latents.

    There are two kinds of features: the logarithms of the errors of the R views and C channels, and the latents of the R
    views. Each column is standardised, the Euclidean distance to the nearest window of a bank of training windows is taken, and
    the logarithm of the distance is standardised by the training windows' own distances. The score is the sum over both kinds.

    Args:
        seed: Of the choice of the bank, where there are more than `BANK_SIZE` training windows.
        state: What `state` of a fitted scorer gave.
    """

    def __init__(self, seed: int = 0, **state: np.ndarray) -> None:
        self._seed = seed
        parts: dict[str, dict[str, np.ndarray]] = {}
        for key, value in state.items():
            kind, _, field = key.partition(".")
            parts.setdefault(kind, {})[field] = value
        self._banks = {kind: _Bank(**fields) for kind, fields in parts.items()}

    def fit(self, outputs: Outputs, groups: np.ndarray | None = None) -> np.ndarray:
        chosen = np.arange(len(outputs.error))
        if len(chosen) > BANK_SIZE:
            chosen = np.sort(np.random.default_rng(self._seed).choice(chosen, BANK_SIZE, replace=False))
        scores = np.zeros(len(outputs.error))
        for kind, features in _features(outputs).items():
            self._banks[kind], of_kind = _fit_bank(features, chosen, groups)
            scores += of_kind
        return scores.astype(np.float32)

    def score(self, outputs: Outputs) -> np.ndarray:
        scores = [self._banks[kind].score(features) for kind, features in _features(outputs).items()]
        return np.sum(scores, axis=0).astype(np.float32)

    def state(self) -> dict[str, np.ndarray]:
        return {
            f"{kind}.{field.name}": getattr(bank, field.name) for kind, bank in self._banks.items() for field in fields(bank)
        }


@dataclass
class _Bank:
    """The training windows' features of one kind, and what distances to them are measured by.

    Attributes:
        mean, scale: float64 (D,), of the columns of the features.
        windows: float32 (M, D), standardised features.
        floor: Smallest distance that is told from none.
        log_mean, log_scale: Of the logarithms of the training windows' own distances.
    """

    mean: np.ndarray
    scale: np.ndarray
    windows: np.ndarray
    floor: np.ndarray
    log_mean: np.ndarray
    log_scale: np.ndarray

    def __post_init__(self) -> None:
        self._search = _neighbours(self.windows)

    def score(self, features: np.ndarray) -> np.ndarray:
        distances, _ = self._search.kneighbors((features - self.mean) / self.scale, n_neighbors=1)
        return self.standardise(distances[:, 0])

    def standardise(self, distances: np.ndarray) -> np.ndarray:
        return (np.log(np.maximum(distances, self.floor)) - self.log_mean) / self.log_scale


def _fit_bank(features: np.ndarray, chosen: np.ndarray, groups: np.ndarray | None) -> tuple[_Bank, np.ndarray]:
    """A bank of the `chosen` windows, and the scores of all training windows, each left out or its whole group."""
    mean = features.mean(axis=0)
    scale = _safe(features.std(axis=0), mean)
    standardised = ((features - mean) / scale).astype(np.float32)
    distances = _left_out_distances(standardised, chosen, groups)
    floor = np.asarray(max(NEAR * np.median(distances), RESOLUTION * np.sqrt(features.shape[1])))
    logs = np.log(np.maximum(distances, floor))
    bank = _Bank(mean, scale, standardised[chosen], floor, logs.mean(), _safe(logs.std(), logs.mean()))
    return bank, bank.standardise(distances)


def _left_out_distances(features: np.ndarray, chosen: np.ndarray, groups: np.ndarray | None) -> np.ndarray:
    """Distances of windows (N, D) to the nearest of the `chosen` that is neither the window itself nor of its group."""
    if groups is None:
        distances, places = _neighbours(features[chosen]).kneighbors(features, n_neighbors=2)
        found_itself = chosen[places[:, 0]] == np.arange(len(features))
        return np.where(found_itself, distances[:, 1], distances[:, 0])
    nearest = np.empty(len(features))
    for group in np.unique(groups):
        others = chosen[groups[chosen] != group]
        if not len(others):
            raise DataError(f"the nearest-normal score needs training windows of at least two groups. Received: only {group}.")
        inside = groups == group
        nearest[inside] = _neighbours(features[others]).kneighbors(features[inside], n_neighbors=1)[0][:, 0]
    return nearest


def _features(outputs: Outputs) -> dict[str, np.ndarray]:
    """The features by kind, float64 (N, D)."""
    count = len(outputs.error)
    return {
        "error": np.log(outputs.error.reshape(count, -1).astype(np.float64) + LOG_FLOOR),
        "latent": outputs.latent.reshape(count, -1).astype(np.float64),
    }


def _neighbours(windows: np.ndarray) -> NearestNeighbors:
    # float64: the distances come from a difference of squares, which cancels for near windows
    return NearestNeighbors(algorithm="brute").fit(windows.astype(np.float64))


def _safe(scale: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """A deviation to divide by: 1 where there is none but for rounding."""
    return np.where(scale > ROUNDING * np.abs(mean), scale, 1.0)
