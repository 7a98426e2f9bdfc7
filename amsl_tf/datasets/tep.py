"""The Tennessee Eastman process (TEP), a simulated chemical plant: 41 measured and 11 manipulated variables, every 3 minutes.

`d00.dat` is the training recording of normal operation, transposed: 52 lines of 500 values. `d01_te.dat` to `d21_te.dat` are
960 lines of 52 values; a fault begins after 8 hours.

Reference:
    J. J. Downs and E. F. Vogel, "A plant-wide industrial process control problem", Computers & Chemical Engineering, 1993,
    doi 10.1016/0098-1354(93)80018-I; L. H. Chiang, E. L. Russell and R. D. Braatz, "Fault Detection and Diagnosis in Industrial
    Systems", Springer, 2001, doi 10.1007/978-1-4471-0347-9.
"""

from functools import cached_property
from pathlib import Path

import numpy as np

from amsl_tf.data.number_tables import read_numbers
from amsl_tf.data.recordings import Recording
from amsl_tf.datasets.series import Series, SeriesDataset
from amsl_tf.errors import DataError

CHANNEL_NAMES = (*(f"xmeas_{number}" for number in range(1, 42)), *(f"xmv_{number}" for number in range(1, 12)))
TRAINING_ROWS, TEST_ROWS = 500, 960
FIRST_ABNORMAL = 160  # 8 hours of 20 rows


class TEP(SeriesDataset):
    """TEP, in the files of R. D. Braatz. A series is a fault, and all have the same training recording.

    The training recordings of the faults, `d01.dat` to `d21.dat`, and the normal test recording `d00_te.dat` are not used.

    Args:
        folder: The folder with d00.dat and d01_te.dat to d21_te.dat.
    """

    window_shape = (32, len(CHANNEL_NAMES))
    sampling_rate = 1 / 180
    channel_names = CHANNEL_NAMES

    def names(self) -> tuple[str, ...]:
        """Returns the names of the faults whose recordings exist, such as `fault-1`."""
        files = self.find_files("d0[1-9]_te.dat", "d1[0-9]_te.dat", "d2[01]_te.dat", example="d00.dat and d01_te.dat")
        return tuple(f"fault-{int(file.name[1:3])}" for file in files)

    def read_series(self, name: str) -> Series:
        """Reads `d00.dat` and the recording of a fault; see `SeriesDataset.read_series`."""
        self.check_name(name)
        test = self.folder / f"d{int(name.removeprefix('fault-')):02}_te.dat"
        values = self._read_table(test, TEST_ROWS, len(CHANNEL_NAMES))
        label = (np.arange(TEST_ROWS) >= FIRST_ABNORMAL).astype(int)
        return Series(name, self._normal, self.make_recording(test, values, label))

    @cached_property
    def _normal(self) -> Recording:
        file = self.folder / "d00.dat"
        return self.make_recording(file, self._read_table(file, len(CHANNEL_NAMES), TRAINING_ROWS).T)

    def _read_table(self, file: Path, lines: int, columns: int) -> np.ndarray:
        table = read_numbers(file, columns, " ", self.advice).to_numpy()
        if len(table) != lines:
            raise DataError(f"{file}: expected {lines} lines of {columns} values, found {len(table)}. {self.advice}")
        return table
