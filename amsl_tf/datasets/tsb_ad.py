"""The benchmark TSB-AD: series of many other data sets, curated, with one or more channels.

A file is a recording, `<name>_tr_<rows>_1st_<row>.csv`, where `tr` is the number of training rows and `1st` the first abnormal
row: a header, then comma-separated lines of numbers, whose last column is the label.

Reference:
    Q. Liu and J. Paparrizos, "The elephant in the room: towards a reliable time-series anomaly detection benchmark",
    NeurIPS 2024, https://thedatumorg.github.io/TSB-AD.
"""

import re
from functools import cached_property
from pathlib import Path

import numpy as np

from amsl_tf.data.files import check_regular
from amsl_tf.data.number_tables import read_numbers
from amsl_tf.data.recordings import Recording
from amsl_tf.datasets.series import Series, SeriesDataset
from amsl_tf.errors import DataError

STEPS = 100


class TSBAD(SeriesDataset):
    """TSB-AD. A series is a file, named by its name without `.csv`. Sampling rates differ and are not given.

    Series may have different channels and missing values. Windows need the same channels in all files of the folder, and all
    values.

    Args:
        folder: The folder with the CSV files.
    """

    @cached_property
    def window_shape(self) -> tuple[int, int]:  # type: ignore[override]
        """100 time steps, and the channels of the first file."""
        return (STEPS, self._channels(self.folder / f"{self.names()[0]}.csv"))

    def names(self) -> tuple[str, ...]:
        """Returns the names of the files without `.csv`."""
        example = "002_MSL_id_1_Sensor_tr_500_1st_900.csv"
        files = self.find_files("[!.]*_tr_[0-9]*_1st_*.csv", example=example)
        return tuple(file.stem for file in files)

    def read_series(self, name: str) -> Series:
        """Reads a file; see `SeriesDataset.read_series`."""
        self.check_name(name)
        file = self.folder / f"{name}.csv"
        rows = re.search(r"_tr_([0-9]+)_1st_(-?[0-9]+)$", name)
        if not rows:
            raise DataError(f"{file}: expected a name that ends in _tr_<rows>_1st_<row>.csv. {self.advice}")
        channels = self._channels(file)
        values = read_numbers(file, channels + 1, ",", self.advice, skip=1, missing=True).to_numpy()
        recording = Recording(np.array(values[:, :channels], order="C"), file.name, values[:, channels])
        first = int(np.argmax(values[:, channels])) if values[:, channels].any() else -1
        if first != int(rows[2]):
            fault = f"expected the first abnormal row to be {rows[2]} (from 0), as in the name, found {first}"
            raise DataError(f"{file}: {fault}. {self.advice}")
        return self.split_recording(name, recording, int(rows[1]))

    def _channels(self, file: Path) -> int:
        """Returns the number of channels, from the header."""
        check_regular(file, self.advice)
        with file.open(encoding="utf-8-sig", errors="replace") as lines:
            header = lines.readline().strip().split(",")
        if len(header) < 2 or header[-1].lower() != "label":
            raise DataError(
                f"{file}, line 1: expected names of channels, then Label, found {','.join(header)[:200]!r}. {self.advice}"
            )
        return len(header) - 1
