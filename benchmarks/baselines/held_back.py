"""Methods that read windows as sequences: fitted once, to all normal windows but those that are held back."""

from time import perf_counter
from typing import NamedTuple, Protocol

import numpy as np

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
    """Trains; own scores are those of the windows that are held back, in the protocol `subject` one person's."""
    groups = normal.groups
    kept, held_back = validation_split(len(normal.x), TrainingConfig().validation_share, normal.seed, groups)
    mean, deviation = (getattr(normal.x[kept], name)(axis=(0, 1)) for name in ("mean", "std"))

    def scaled(x: np.ndarray) -> np.ndarray:
        return (x - mean) / np.maximum(deviation, 1e-6)

    start = perf_counter()
    trained = train(scaled(normal.x[kept]), scaled(normal.x[held_back]), normal.seed)
    seconds = perf_counter() - start
    return Fitted(
        trained.score(scaled(normal.x[held_back])),
        None if groups is None else groups[held_back],
        lambda windows: trained.score(scaled(windows)),
        seconds,
        trained.parameters,
        trained.about,
    )
