"""Methods that read windows as sequences: fitted once, to all normal windows but those that are held back."""

from time import perf_counter
from typing import NamedTuple, Protocol

import numpy as np
from sklearn.preprocessing import StandardScaler

from amsl_tf.config import TrainingConfig
from amsl_tf.data.splits import validation_split
from benchmarks.baselines.interface import Fitted, Normal, Score


class Trained(NamedTuple):
    """What scores windows whose channels are standardised, how much it has learned, and what there is to tell of it."""

    score: Score
    parameters: int | None
    about: dict[str, float]


class Train(Protocol):
    """Trains on windows (N, T, C), watches others (V, T, C); channels are standardised."""

    def __call__(self, train: np.ndarray, held_back: np.ndarray, seed: int) -> Trained: ...


def fit_held_back(train: Train, normal: Normal) -> Fitted:
    """Trains; own scores are those of the windows that are held back, in the protocol `subject` one person's.

    These windows have chosen the epoch, or another setting, too.
    """
    kept, held_back = validation_split(len(normal.x), TrainingConfig().validation_share, normal.seed, normal.groups)
    scaler = StandardScaler().fit(_steps(normal.x[kept]))

    def scaled(x: np.ndarray) -> np.ndarray:
        values: np.ndarray = scaler.transform(_steps(x)).reshape(x.shape).astype(np.float32)
        return values

    start = perf_counter()
    trained = train(scaled(normal.x[kept]), scaled(normal.x[held_back]), normal.seed)
    seconds = perf_counter() - start
    return Fitted(
        trained.score(scaled(normal.x[held_back])),
        None if normal.groups is None else normal.groups[held_back],
        lambda windows: trained.score(scaled(windows)),
        seconds,
        trained.parameters,
        trained.about,
    )


def _steps(x: np.ndarray) -> np.ndarray:
    """All time steps of windows: (N, T, C) to (N T, C), in float64, as sums over so many are not exact in float32."""
    return x.reshape(-1, x.shape[2]).astype(np.float64)
