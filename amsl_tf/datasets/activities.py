"""The base class of data sets in which the activity of a subject changes within a recording."""

from abc import abstractmethod
from collections.abc import Iterator
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
from scipy.signal import resample_poly

from amsl_tf.data.windows import chunks
from amsl_tf.datasets.base import Dataset
from amsl_tf.errors import DataError


class ActivityDataset(Dataset):
    """A public data set with a recording of each subject, and with an activity for each time step.

    A run is a part of a recording with one activity of `titles`. Windows lie within runs: they begin every T rows of a run, and
    its last rows, fewer than T, are left out. Windows do not overlap, so that training and test windows share no time step.

    Args:
        folder: The folder that holds the data set.

    Class attributes: those of `Dataset`, and
        abnormal: The names of the abnormal activities. The other ones of `titles` are normal.
    """

    sampling_rate: ClassVar[float]
    abnormal: ClassVar[tuple[str, ...]]

    @abstractmethod
    def files(self) -> dict[str, Path]:
        """Finds the file of each subject.

        Returns:
            The files by subject, in order.

        Raises:
            DataError: The folder does not hold the data set.
        """

    @abstractmethod
    def read_activities(self, subject: str) -> np.ndarray:
        """Reads the activities of a recording, and logs a warning for what is left out.

        Args:
            subject: One of `files`.

        Returns:
            Names of `titles`, or "" where a time step must not be used, str (rows,).

        Raises:
            DataError: A file is missing or malformed.
        """

    @abstractmethod
    def read_signals(self, subject: str) -> np.ndarray:
        """Reads the channels of a recording.

        Args:
            subject: One of `files`.

        Returns:
            float32 (rows, C), without missing values where `read_activities` names an activity.

        Raises:
            DataError: A file is missing or malformed.
        """

    def index(self) -> dict[str, np.ndarray]:
        """Reads activity, subject, file as `source`, first row as `segment` and label of all windows; see `Dataset.index`."""
        files = self.files()
        parts = [
            pd.DataFrame(
                {
                    "activity": activities,
                    "subject": subject,
                    "segment": rows.astype(str),
                    "source": str(files[subject].relative_to(self.folder)),
                    "label": np.isin(activities, self.abnormal).astype(int),
                }
            )
            for subject, (activities, rows) in self._windows.items()
        ]
        return {str(name): column.to_numpy() for name, column in pd.concat(parts).items()}

    def read(self) -> Iterator[np.ndarray]:
        """Reads the windows of each subject in turn; see `Dataset.read`."""
        steps = self.window_shape[0]
        for subject, (_, rows) in self._windows.items():
            x = self.read_signals(subject)
            for _, part in chunks(rows):
                yield np.stack([x[row : row + steps] for row in part])

    @cached_property
    def _windows(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """The activities and the first rows of the windows, by subject; subjects without a window are omitted."""
        windows = {}
        for subject in self.files():
            activities = self.read_activities(subject)
            rows = find_windows(activities, self.window_shape[0])
            if len(rows):
                windows[subject] = (activities[rows], rows)
        if not windows:
            seconds = self.window_shape[0] / self.sampling_rate
            raise DataError(f"{self.folder}: found no activity that lasts {seconds:g} s, one window. Name another folder.")
        return windows


def find_windows(activities: np.ndarray, steps: int) -> np.ndarray:
    """Returns the first rows of consecutive windows within runs of one activity.

    Args:
        activities: The activity of each row, "" for none, str (rows,).
        steps: T, the length of a window.

    Returns:
        int (N,).
    """
    changes = np.flatnonzero(activities[1:] != activities[:-1]) + 1
    runs = pairwise([0, *changes.tolist(), len(activities)])
    return np.array([row for start, end in runs for row in range(start, end - steps + 1, steps) if activities[row]], int)


def resample(values: np.ndarray, rate: float, target: float) -> np.ndarray:
    """Resamples a signal with an anti-aliasing filter.

    Args:
        values: The signal, (rows,) or (rows, C).
        rate: Its rate, Hz.
        target: The rate of the result, Hz.

    Returns:
        The signal with `target` values a second, of which the first is at the time of the first of `values`.
    """
    ratio = Fraction(target / rate).limit_denominator(10_000)
    # padtype: the signal goes on along its trend at both ends, where zeros would make a step
    return values if ratio == 1 else resample_poly(values, ratio.numerator, ratio.denominator, padtype="line")
