"""The data set "PAMAP2 Physical Activity Monitoring": three inertial sensors on hand, chest and ankle.

- Known from its documentation: nine files, `subject101.dat` to `subject109.dat`, with 54 columns at 100 Hz: time, activity,
  heart rate, and 17 of each sensor, of which the last four (orientation) are invalid. Rows of activity 0 are transient and not
  to be used. Values that were lost on the radio link are NaN.
- Known from the AMSL paper: the abnormal activities (running, ascending stairs, descending stairs and rope jumping), which a
  comment in its published code names. The code does not read this data set.
- Chosen by this project: the 27 channels of accelerometer (16 g), gyroscope and magnetometer; windows of 5.12 s, as is usual
  for this data set, that do not overlap; linear interpolation of up to `MAX_GAP` consecutive lost values. The heart rate, at
  9 Hz, is not used, nor is the second accelerometer, which saturates at 6 g.

Reference:
    A. Reiss and D. Stricker, "Introducing a New Benchmarked Dataset for Activity Monitoring", ISWC, 2012,
    doi 10.24432/C5NW2H.
"""

import logging
import re
from pathlib import Path

import numpy as np

from amsl_tf.data.number_tables import read_numbers
from amsl_tf.data.recordings import Recording
from amsl_tf.data.times import check_rising
from amsl_tf.datasets.activities import ActivityDataset
from amsl_tf.errors import DataError

RATE = 100  # Hz
COLUMNS = 54
TIME, ACTIVITY = 0, 1  # columns
SENSORS = {"hand": 3, "chest": 20, "ankle": 37}  # the first column of each
SIGNALS = {"accelerometer": 1, "gyroscope": 7, "magnetometer": 10}  # the first column of each within those of a sensor
CHANNELS = {  # the column of each channel
    f"{place} {signal} {axis}": first + offset + number
    for place, first in SENSORS.items()
    for signal, offset in SIGNALS.items()
    for number, axis in enumerate("xyz")
}
ACTIVITIES = {
    "1": "lying",
    "2": "sitting",
    "3": "standing",
    "4": "walking",
    "5": "running",
    "6": "cycling",
    "7": "Nordic walking",
    "12": "ascending stairs",
    "13": "descending stairs",
    "16": "vacuum cleaning",
    "17": "ironing",
    "24": "rope jumping",
}
TRANSIENT = 0
MAX_GAP = 20  # rows that are interpolated
LONG = 1.5  # usual steps; after a longer step in time a new run begins
ADVICE = "Unpack the data set again."

log = logging.getLogger(__name__)


class PAMAP2(ActivityDataset):
    """PAMAP2, with the abnormal activities of the AMSL paper: running, climbing stairs and rope jumping.

    Units are m/s2 (accelerometers), rad/s (gyroscopes) and microtesla (magnetometers).

    Args:
        folder: The folder `Protocol`, or the one above it.
    """

    window_shape = (512, len(CHANNELS))
    sampling_rate = RATE
    axes = 3
    channel_names = tuple(CHANNELS)
    titles = ACTIVITIES
    abnormal = ("5", "12", "13", "24")
    test_subjects = ("subject106", "subject107", "subject108")

    def files(self) -> dict[str, Path]:
        """Finds the files `subject<number>.dat`; see `ActivityDataset.files`."""
        protocol = self.folder / "Protocol"
        folder = protocol if protocol.is_dir() else self.folder
        found = sorted(folder.glob("*.dat")) if folder.is_dir() else []
        files = {file.stem: file for file in found if re.fullmatch(r"subject\d+", file.stem)}
        if not files:
            raise DataError(
                f"{self.folder}: expected files like subject101.dat of PAMAP2 in it or in Protocol, found none. Name the "
                "folder that holds them with --source; the data set has the doi 10.24432/C5NW2H."
            )
        return files

    def read_activities(self, subject: str) -> np.ndarray:
        """Reads the activities; "" for transient rows and gaps. See `ActivityDataset.read_activities`."""
        activities, x = self._read(subject)
        is_gap = np.isnan(x).any(axis=1) & (activities != "")
        if is_gap.any():
            left_out = (
                f"{is_gap.sum() / RATE:g} s of activities are left out, the first at line {np.flatnonzero(is_gap)[0] + 1}"
            )
            reason = f"values are missing in more than {MAX_GAP} consecutive rows, or where an activity begins or ends"
            log.warning(f"{self.files()[subject]}: {left_out}: {reason}.")
        return np.where(is_gap, "", activities)

    def read_signals(self, subject: str) -> np.ndarray:
        """Reads the channels, with short gaps filled; see `ActivityDataset.read_signals`."""
        return self._read(subject)[1]

    def _read(self, subject: str) -> tuple[np.ndarray, np.ndarray]:
        """Reads the activity of each row and the channels; values that could not be interpolated are NaN."""
        file = self.files()[subject]
        table = read_numbers(file, COLUMNS, " ", ADVICE, missing=True).to_numpy()
        known = [TRANSIENT, *map(int, ACTIVITIES)]
        unknown = np.flatnonzero(~np.isin(table[:, ACTIVITY], known))
        if len(unknown):
            fault = f"expected one of the activities {', '.join(map(str, known))}, found {table[unknown[0], ACTIVITY]:g}"
            raise DataError(f"{file}, line {unknown[0] + 1}: {fault}. {ADVICE}")
        x = Recording(table[:, [*CHANNELS.values()]], str(file)).x
        check_rising(str(file), table[:, TIME])
        is_break = np.diff(table[:, TIME], prepend=-np.inf) > LONG / RATE
        is_break[1:] |= np.diff(table[:, ACTIVITY]) != 0
        activities = table[:, ACTIVITY].astype(int).astype("<U2")
        # a run ends at a step in time, and the row after it is left out
        is_step = is_break & np.append(False, activities[1:] == activities[:-1])
        activities[is_step | (activities == str(TRANSIENT))] = ""
        return activities, interpolate(x, np.cumsum(is_break), MAX_GAP)


def interpolate(x: np.ndarray, runs: np.ndarray, longest: int) -> np.ndarray:
    """Interpolates missing values linearly over time, within runs.

    Args:
        x: float32 (rows, C), NaN where a value is missing.
        runs: The number of the run of each row, rising, int (rows,).
        longest: The largest number of consecutive missing values that are interpolated.

    Returns:
        The values, NaN in longer gaps and in those at the start or the end of a run.
    """
    filled = x.copy()
    for channel in range(x.shape[1]):
        present = np.flatnonzero(~np.isnan(x[:, channel]))
        gaps = np.flatnonzero(np.diff(present) > 1)
        left, right = present[gaps], present[gaps + 1]
        is_short = (right - left <= longest + 1) & (runs[left] == runs[right])
        for start, end in zip(left[is_short], right[is_short], strict=True):
            filled[start : end + 1, channel] = np.linspace(x[start, channel], x[end, channel], end - start + 1)
    return filled
