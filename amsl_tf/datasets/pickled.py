"""The base class of data sets in the pickles NAME_train.pkl, NAME_test.pkl and NAME_test_label.pkl, as many papers use them."""

from pathlib import Path
from typing import ClassVar

import numpy as np

from amsl_tf.data.pickles import read_pickle
from amsl_tf.data.windows import check_binary
from amsl_tf.datasets.series import Series, SeriesDataset
from amsl_tf.errors import DataError

PARTS = ("train", "test", "test_label")


class PickledDataset(SeriesDataset):
    """Series in three arrays each: a normal recording, a recording to test, and the labels of its rows.

    Class attributes: those of `SeriesDataset`, and
        prefix: The start of the names of its series.
    """

    prefix: ClassVar[str]

    def names(self) -> tuple[str, ...]:
        """Returns the names of the series whose test recordings exist, such as `omi-1`."""
        files = self.find_files(f"{self.prefix}*_test.pkl", example=f"{self.prefix}1_test.pkl")
        return tuple(file.name.removesuffix("_test.pkl") for file in files)

    def read_series(self, name: str) -> Series:
        """Reads the three files of a series; see `SeriesDataset.read_series`."""
        self.check_name(name)
        files = [self._file(name, part) for part in PARTS]
        train, test, labels = (self._read_array(file) for file in files)
        labels = check_binary(f"{files[2]}: labels", labels, len(test), "row")
        return Series(name, self.make_recording(files[0], train), self.make_recording(files[1], test, labels))

    def _file(self, name: str, part: str) -> Path:
        return self.folder / f"{name}_{part}.pkl"

    def _read_array(self, file: Path) -> np.ndarray:
        array = read_pickle(file, self.advice)
        if not isinstance(array, np.ndarray) or not array.ndim:
            raise DataError(f"{file}: expected an array, found {type(array).__name__}. {self.advice}")
        return array
