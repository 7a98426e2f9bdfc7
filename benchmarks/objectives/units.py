"""The units of the study: normal training windows, and tests with labels."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

from amsl_tf.data.splits import validation_split
from amsl_tf.errors import DataError
from amsl_tf.evaluation.time_steps import to_time_steps
from benchmarks.experiments import Run, read_experiments
from benchmarks.parts import read_parts, require_column
from benchmarks.peers.adaptors import OVERLAPS, SlidingWindows, spaced
from benchmarks.pseudo import LEFT_OUT, tasks
from benchmarks.series import SeriesSet
from benchmarks.series import read_experiments as read_series_experiments

WINDOWS = 600  # training windows, about
SERIES = 3  # of each data set, the first development series
HELD_OUT = 0.2  # the share of the windows, or of the subjects, that no network is trained on
PARTS = 5  # of a recording, for objectives that compare groups
DSADS = "dsads"


@dataclass(frozen=True, eq=False)
class LabelledTest:
    """A test.

    Attributes:
        dataset, name: The names of the data set and of the unit.
        windows: float32 (M, T, C).
        labels: bool, of the windows, or of the time steps of a recording.
        rows: int (M,), the first rows of the windows in the recording; None if the labels are those of windows.
    """

    dataset: str
    name: str
    windows: np.ndarray
    labels: np.ndarray
    rows: np.ndarray | None = None

    def evaluate(self, scores: np.ndarray) -> dict[str, float]:
        """Computes AUROC and average precision of the scores of the windows (M,), by time step in a recording."""
        if self.rows is not None:
            scores = to_time_steps(scores, self.rows, self.windows.shape[1], len(self.labels))
        return {
            "auroc": float(roc_auc_score(self.labels, scores)),
            "average_precision": float(average_precision_score(self.labels, scores)),
        }


@dataclass(frozen=True, eq=False)
class Training:
    """Normal training windows and the tests that share them.

    Attributes:
        x: float32 (N, T, C).
        subjects: (N,), the subject of each window; None for windows of a recording.
        rows: int (N,), the first rows of the windows; those of windows that share no rows differ by T or more.
        axes: The number of consecutive channels that are the axes of one sensor.
        tests: The tests.
    """

    x: np.ndarray
    subjects: np.ndarray | None
    rows: np.ndarray
    axes: int
    tests: Sequence[LabelledTest]

    @property
    def groups(self) -> np.ndarray:
        """The number of the subject, or of the part of the recording, of each window, int (N,)."""
        if self.subjects is None:
            return np.arange(len(self.x)) * PARTS // len(self.x)
        numbers: np.ndarray = np.unique(self.subjects, return_inverse=True)[1]
        return numbers


class Split(NamedTuple):
    """The positions of the windows that networks are trained on, and of those that calibrate them."""

    train: np.ndarray
    held_out: np.ndarray


def hold_out(training: Training, seed: int) -> Split:
    """Holds out whole subjects, or consecutive windows of a recording, with which those to train on have no row in common.

    Raises:
        DataError: No window is left to train on.
    """
    if training.subjects is not None:
        return Split(*validation_split(len(training.x), HELD_OUT, seed, training.subjects))
    count, rows, steps = round(HELD_OUT * len(training.x)), training.rows, training.x.shape[1]
    first = np.random.default_rng(seed).integers(0, len(rows) - count + 1)
    held_out = np.arange(first, first + count)
    train = np.flatnonzero((rows <= rows[held_out[0]] - steps) | (rows >= rows[held_out[-1]] + steps))
    if not len(train):
        raise DataError(f"expected a recording of more than {steps} rows besides the held-out ones, found none.")
    return Split(train, held_out)


def open_series(item: SeriesSet, data: Path) -> Iterator[Training]:
    """Reads the first development series of a data set, in the order of series.toml."""
    dataset = item.open(data)
    names = item.select(dataset.names(), "development")
    ordered = [name for pattern in item.development for name in names if fnmatchcase(name, pattern)]
    steps, fitted_to, tests = dataset.window_shape[0], None, []
    for name in ordered[:SERIES]:
        series = dataset.read_series(name)
        if fitted_to is not None and series.train.name != fitted_to.name:  # the faults of TEP share it
            yield _training(fitted_to.x, steps, tests)
            tests = []
        fitted_to = series.train
        if series.test.label is None:
            raise DataError(f"expected labels of the time steps of {series.test.name}, found none.")
        windows = SlidingWindows([series.test.x], steps, max(1, steps // OVERLAPS))
        tests.append(LabelledTest(item.name, name, windows[:], series.test.label.astype(bool), windows.rows[0]))
    assert fitted_to is not None
    yield _training(fitted_to.x, steps, tests)


def _training(x: np.ndarray, steps: int, tests: Sequence[LabelledTest]) -> Training:
    windows = SlidingWindows([x], steps, max(1, -(-(len(x) - steps + 1) // WINDOWS)))
    return Training(windows[:], None, windows.rows[0], 1, tests)


def open_dsads(source: Path) -> Iterator[Training]:
    """Reads the pseudo-anomaly tasks of DSADS: the subject who is tested changes from one to the next.

    Args:
        source: The output folder of `amsl preprocess`.

    Raises:
        DataError: There are no windows of an activity.
    """
    (amsl,), test_subjects = read_experiments(["amsl"])
    parts = read_parts(source, Run(amsl, "subject", 0), test_subjects)
    activity, subject = (require_column(parts.normal, name)[parts.split.train] for name in ("activity", "subject"))
    for place, left_out in enumerate(LEFT_OUT):
        possible = list(tasks("subject", left_out, activity, subject))
        if not possible:
            raise DataError(f"{source}: expected normal windows of {', '.join(left_out)}, found none. Preprocess DSADS again.")
        task = possible[place % len(possible)]
        train = task.train[spaced(len(task.train), WINDOWS)]
        test = LabelledTest(DSADS, "+".join(left_out), parts.train[task.test], task.abnormal)
        rows = np.arange(len(train)) * parts.train.shape[1]
        yield Training(parts.train[train], subject[train], rows, parts.axes, [test])


def titles() -> dict[str, str]:
    """Returns the titles of the data sets by name."""
    return {item.name: item.title for item in read_series_experiments()[0]} | {DSADS: "DSADS"}
