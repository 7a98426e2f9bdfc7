"""The base class of data sets of series: recordings whose time steps are labelled."""

import os
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from amsl_tf.data.files import natural_key
from amsl_tf.data.recordings import Recording
from amsl_tf.data.times import check_rising
from amsl_tf.datasets.base import Dataset
from amsl_tf.errors import DataError

SHOWN = 3  # names in an error message


@dataclass(frozen=True, eq=False)
class Series:
    """What one detector is fitted to and tested on, such as the recordings of one machine.

    Attributes:
        name: The name of the series in its data set.
        train: A normal recording.
        test: A recording with labels.
    """

    name: str
    train: Recording
    test: Recording


class SeriesDataset(Dataset):
    """A public data set of series. Subclass it and register the subclass in `DATASETS` to add one.

    Windows of it, which the stages use, do not overlap: they begin every T rows of each recording. A window of a test recording
    is abnormal if one of its time steps is. Windows of a training recording that several series share belong to the first one.

    Args:
        folder: The folder that holds the data set.

    Class attributes: those of `Dataset`, where T is the length of a window that suits the data, and
        advice: The advice to the user if a file is missing or broken, for error messages.
    """

    advice: ClassVar[str] = "Download the data set again."

    @abstractmethod
    def names(self) -> tuple[str, ...]:
        """Returns the names of all series.

        Raises:
            DataError: The folder does not hold the data set.
        """

    @abstractmethod
    def read_series(self, name: str) -> Series:
        """Reads a series.

        Args:
            name: One of `names`.

        Raises:
            DataError: There is no such series, or a file is missing or malformed; the message names file and line.
        """

    def index(self) -> dict[str, np.ndarray]:
        """Reads the series as `subject`, the file as `source`, the first row as `segment` and the label of all windows."""
        parts = []
        for series, recording, rows in self._windows():
            known = {
                "subject": series.name,
                "source": recording.name,
                "segment": (recording.first_row + rows).astype(str),
                "label": window_labels(recording.label, rows, self.window_shape[0]).astype(int),
            }
            parts.append(pd.DataFrame(known))
        if not parts:
            raise DataError(
                f"{self.folder}: expected recordings of {self.window_shape[0]} rows or more, found none. {self.advice}"
            )
        return {str(name): column.to_numpy() for name, column in pd.concat(parts).items()}

    def read(self) -> Iterator[np.ndarray]:
        """Reads the windows of each recording in turn; see `Dataset.read`."""
        steps = self.window_shape[0]
        for _, recording, rows in self._windows():
            yield np.stack([recording.x[row : row + steps] for row in rows])

    def find_files(self, *patterns: str, example: str) -> list[Path]:
        """Finds files of the data set.

        Args:
            patterns: Patterns of their paths in the folder, such as `test/*.txt`.
            example: One or more of them, for the error message.

        Returns:
            The files in natural order: 2 before 10.

        Raises:
            DataError: There is none, or a folder of them cannot be read.
        """
        for folder in {(self.folder / pattern).parent for pattern in patterns}:
            if folder.is_dir() and not os.access(folder, os.R_OK | os.X_OK):  # which `glob` takes for empty
                raise DataError(f"{folder}: cannot be read. Change its permissions.")
        files = [file for pattern in patterns for file in self.folder.glob(pattern)]
        if not files:
            found = "none" if self.folder.is_dir() else "no such folder"
            expected = f"the files of {type(self).__name__}, such as {example}"
            raise DataError(f"{self.folder}: expected {expected}, found {found}. Name the folder that holds them.")
        return sorted(files, key=lambda file: natural_key(str(file)))

    def check_name(self, name: str) -> None:
        """Raises DataError if there is no series of a name."""
        names = self.names()
        if name not in names:
            known = ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
            raise DataError(f"{self.folder}: expected the name of a series, one of {known}. Received: {name!r}.")

    def make_recording(
        self, file: Path, values: Any, label: np.ndarray | None = None, time: np.ndarray | None = None
    ) -> Recording:
        """Makes the recording of a file.

        Args:
            file: The file; its path in the folder is the name of the recording.
            values: Numbers (rows, C).
            label: Its labels, see `Recording`.
            time: Its times, see `Recording`.

        Returns:
            The recording, with a copy of the values: memory-mapped arrays are read, and rows are contiguous.

        Raises:
            DataError: There are other channels than those of `window_shape`, or `Recording` does not accept the arrays.
        """
        x, channels = np.array(values, order="C"), self.window_shape[1]
        if x.ndim == 2 and x.shape[1] != channels:
            raise DataError(f"{file}: expected {channels} channels, found {x.shape[1]}. {self.advice}")
        name = file.relative_to(self.folder).as_posix()
        if time is not None:
            check_rising(name, time)
        return Recording(x, name, label, time)

    def split_recording(self, name: str, recording: Recording, rows: int) -> Series:
        """Splits a recording with labels into a series, with the first rows as the normal recording.

        Raises:
            DataError: One of these rows is abnormal, or no row is before or after the split.
        """
        label = np.zeros(len(recording)) if recording.label is None else recording.label
        if not 0 < rows < len(recording) or label[:rows].any():
            found = f"{len(recording)} rows" + (f", abnormal from row {label.argmax()} (from 0)" if label.any() else "")
            raise DataError(f"{recording.name}: expected normal rows, then rows to test; found {found}. {self.advice}")
        return Series(name, recording[:rows], recording[rows:])

    def _windows(self) -> Iterator[tuple[Series, Recording, np.ndarray]]:
        """Yields each recording with its series and the first rows of its windows, int (n,)."""
        steps, channels = self.window_shape
        known = set()
        for name in self.names():
            series = self.read_series(name)
            for part, recording in (("train", series.train), ("test", series.test)):
                if (part, recording.name) in known:
                    continue
                known.add((part, recording.name))
                if recording.x.shape[1] != channels:
                    fault = f"expected {channels} channels, as in the windows of other series, found {recording.x.shape[1]}"
                    advice = "Keep it in a folder of its own, or read series with load_series."
                    raise DataError(f"{recording.name}: {fault}. {advice}")
                missing = np.argwhere(np.isnan(recording.x))
                if len(missing):
                    place = f"row {missing[0, 0]}, channel {missing[0, 1]} (counted from 0)"
                    raise DataError(f"{recording.name}, {place}: expected a number, found a missing value. {self.advice}")
                if len(recording) >= steps:
                    yield series, recording, np.arange(0, len(recording) - steps + 1, steps)


def window_labels(labels: np.ndarray | None, rows: np.ndarray, steps: int) -> np.ndarray:
    """Returns whether windows hold an abnormal time step.

    Args:
        labels: (count,), 1 or True for abnormal time steps, or None where all are normal.
        rows: int (N,), the first row of each window.
        steps: T, the length of a window.

    Returns:
        bool (N,).
    """
    if labels is None:
        return np.zeros(len(rows), bool)
    sums = np.concatenate([[0], np.cumsum(labels, dtype=np.int64)])
    return sums[rows + steps] > sums[rows]
