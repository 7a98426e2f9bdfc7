"""The fit of baselines that process windows as sequences: one fit, with held-out normal windows for selection and threshold."""

from time import perf_counter
from typing import NamedTuple, Protocol

import numpy as np
from sklearn.preprocessing import StandardScaler

from amsl_tf.config import TrainingConfig
from amsl_tf.data.splits import validation_split
from benchmarks.baselines.interface import FittedBaseline, NormalData, Score


class TrainedModel(NamedTuple):
    """A trained model.

    Attributes:
        score: The score of windows with standardised channels.
        parameters: The number of parameters, or None.
        selected: What was selected on the held-out windows.
    """

    score: Score
    parameters: int | None
    selected: dict[str, float]


class Train(Protocol):
    """A function that trains on windows (N, T, C) and selects on held-out ones (V, T, C), all with standardised channels."""

    def __call__(self, train: np.ndarray, held_out: np.ndarray, seed: int) -> TrainedModel: ...


def fit_held_out(train: Train, normal: NormalData) -> FittedBaseline:
    """Trains a baseline; its training scores are those of the held-out windows, in the protocol `subject` of one subject.

    The same windows also select the epoch or another setting.
    """
    kept, held_out = validation_split(len(normal.x), TrainingConfig().validation_share, normal.seed, normal.groups)
    scaler = StandardScaler().fit(_steps(normal.x[kept]))

    def scaled(x: np.ndarray) -> np.ndarray:
        values: np.ndarray = scaler.transform(_steps(x)).reshape(x.shape).astype(np.float32)
        return values

    start = perf_counter()
    model = train(scaled(normal.x[kept]), scaled(normal.x[held_out]), normal.seed)
    seconds = perf_counter() - start
    return FittedBaseline(
        model.score(scaled(normal.x[held_out])),
        None if normal.groups is None else normal.groups[held_out],
        lambda windows: model.score(scaled(windows)),
        seconds,
        model.parameters,
        model.selected,
    )


def _steps(x: np.ndarray) -> np.ndarray:
    """Returns all time steps, (N, T, C) to (N T, C), in float64, as long sums in float32 are inexact."""
    return x.reshape(-1, x.shape[2]).astype(np.float64)
