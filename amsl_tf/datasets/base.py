"""The base class of data sets."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np

from amsl_tf.data.windows import Windows


class Dataset(ABC):
    """A public data set of labelled windows. Subclass it and register the subclass in `DATASETS` to add one.

    Args:
        folder: The folder that holds the data set.

    Class attributes:
        window_shape: (T, C) of its windows.
        sampling_rate: Rows per second, Hz, or None where unknown.
        axes: The number of consecutive channels that are the axes of one sensor.
        channel_names: The names of the channels.
        titles: The titles of the activities, by the name that `index` gives them.
        test_subjects: The test subjects of the protocol `subject`, unless others are chosen.
        folder_name: The usual name of its folder; that in `DATASETS` if empty.
    """

    window_shape: tuple[int, int]
    sampling_rate: ClassVar[float | None] = None
    axes: ClassVar[int] = 1
    channel_names: ClassVar[tuple[str, ...]] = ()
    titles: ClassVar[Mapping[str, str]] = {}
    test_subjects: ClassVar[tuple[str, ...]] = ()
    folder_name: ClassVar[str] = ""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @abstractmethod
    def index(self) -> dict[str, np.ndarray]:
        """Reads the metadata of all N windows, without the windows.

        Returns:
            Arrays (N,) by name, of `label`, int, 1 for abnormal and 0 for normal windows, and other fields of `Windows`.

        Raises:
            DataError: The folder does not hold the data set, or files are missing.
        """

    @abstractmethod
    def read(self) -> Iterator[np.ndarray]:
        """Reads the windows in constant memory.

        Yields:
            Parts float32 (n, T, C) of the windows, in the order of `index` and in the units of the data set.

        Raises:
            DataError: A file is malformed; the message names file and row.
        """

    def load(self) -> Windows:
        """Reads the whole data set into memory.

        Returns:
            All windows with their labels and metadata.

        Raises:
            DataError: The folder does not hold the data set, or a file is missing or malformed.
        """
        index = self.index()
        return Windows(np.concatenate(list(self.read())), **index)
