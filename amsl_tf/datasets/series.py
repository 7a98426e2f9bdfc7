"""The base class of data sets of series: recordings whose time steps are labelled."""

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

from amsl_tf.data.recordings import Recording, window_labels
from amsl_tf.datasets.base import Dataset
from amsl_tf.errors import DataError


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
    is abnormal if one of its time steps is.

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
            labels = window_labels(recording.label, rows, self.window_shape[0])
            known = {"subject": series.name, "source": recording.name, "segment": rows.astype(str), "label": labels.astype(int)}
            parts.append(pd.DataFrame(known))
        return {str(name): column.to_numpy() for name, column in pd.concat(parts).items()}

    def read(self) -> Iterator[np.ndarray]:
        """Reads the windows of each recording in turn; see `Dataset.read`."""
        steps = self.window_shape[0]
        for _, recording, rows in self._windows():
            yield np.stack([recording.x[row : row + steps] for row in rows])

    def _windows(self) -> Iterator[tuple[Series, Recording, np.ndarray]]:
        """Yields each recording with its series and the first rows of its windows, int (n,)."""
        steps, channels = self.window_shape
        for name in self.names():
            series = self.read_series(name)
            for recording in (series.train, series.test):
                if recording.x.shape[1] != channels:
                    fault = f"expected {channels} channels, found {recording.x.shape[1]}"
                    raise DataError(f"{recording.name}: {fault}. {self.advice}")
                if len(recording) >= steps:
                    yield series, recording, np.arange(0, len(recording) - steps + 1, steps)
