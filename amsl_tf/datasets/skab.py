"""The Skoltech Anomaly Benchmark (SKAB): a water circuit with a pump and valves, at 1 Hz.

A file is a recording, `valve1/<number>.csv`, `valve2/<number>.csv` or `other/<number>.csv`: a header, then lines of a time,
eight channels and two labels, separated by semicolons.

Reference:
    I. D. Katser and V. O. Kozitsin, Skoltech Anomaly Benchmark (SKAB), 2020, doi 10.34740/KAGGLE/DSV/1693952.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from amsl_tf.data.files import check_regular
from amsl_tf.data.number_tables import read_numbers
from amsl_tf.datasets.series import Series, SeriesDataset
from amsl_tf.errors import DataError

FOLDERS = ("valve1", "valve2", "other")
CHANNEL_NAMES = (
    "Accelerometer1RMS",
    "Accelerometer2RMS",
    "Current",
    "Pressure",
    "Temperature",
    "Thermocouple",
    "Voltage",
    "Volume Flow RateRMS",
)
COLUMNS = ("datetime", *CHANNEL_NAMES, "anomaly", "changepoint")
TRAINING_ROWS = 400  # as in the leaderboard of the authors


class SKAB(SeriesDataset):
    """SKAB. A series is a file; its first 400 rows are for training, or fewer if an abnormal row comes earlier.

    The labels are those of the column `anomaly`. `anomaly-free/anomaly-free.csv` has no labels and is not used.

    Args:
        folder: The folder with valve1, valve2 and other.
    """

    window_shape = (60, len(CHANNEL_NAMES))
    sampling_rate = 1.0
    channel_names = CHANNEL_NAMES
    test_subjects = ("valve2/0", "valve2/1", "valve2/2", "valve2/3")

    def names(self) -> tuple[str, ...]:
        """Returns the names of the files without `.csv`, such as `valve1/0`."""
        files = self.find_files(*(f"{folder}/[0-9]*.csv" for folder in FOLDERS), example="valve1/0.csv")
        return tuple(f"{file.parent.name}/{file.stem}" for file in files if file.stem.isdecimal())

    def read_series(self, name: str) -> Series:
        """Reads a file; see `SeriesDataset.read_series`."""
        self.check_name(name)
        file = self.folder / f"{name}.csv"
        check_regular(file, self.advice)
        with file.open(encoding="utf-8-sig", errors="replace") as lines:
            header = lines.readline().rstrip("\r\n")
        if tuple(header.split(";")) != COLUMNS:
            raise DataError(f"{file}, line 1: expected {';'.join(COLUMNS)}, found {header[:200]!r}. {self.advice}")
        table = read_numbers(file, len(COLUMNS), ";", self.advice, skip=1, text=(0,))
        label = table[len(CHANNEL_NAMES) + 1].to_numpy()
        recording = self.make_recording(file, table.iloc[:, 1 : len(CHANNEL_NAMES) + 1], label, self._times(file, table[0]))
        return self.split_recording(name, recording, min([TRAINING_ROWS, *np.flatnonzero(label)[:1]]))

    def _times(self, file: Path, cells: "pd.Series[str]") -> np.ndarray:
        times = pd.to_datetime(cells, format="%Y-%m-%d %H:%M:%S", errors="coerce")
        invalid = np.flatnonzero(times.isna())
        if len(invalid):
            place, cell = f"{file}, line {invalid[0] + 2}", cells.fillna("")[invalid[0]][:40]
            raise DataError(f"{place}: expected a time such as 2020-03-09 10:14:33, found {cell!r}. {self.advice}")
        return times.to_numpy("datetime64[s]")
