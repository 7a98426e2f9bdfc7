"""Recordings of multivariate sensor data and their validation."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from amsl_tf.data.windows import LARGEST, check_binary
from amsl_tf.errors import DataError


@dataclass(frozen=True, eq=False)  # arrays have no single truth value
class Recording:
    """Consecutive time steps of C channels, with optional labels and times.

    Attributes:
        x: float32 (rows, C); NaN where a value is missing, as are masked ones.
        name: The origin of the recording, such as its file, also for error messages.
        label: int (rows,), 1 for abnormal and 0 for normal time steps, or None.
        time: (rows,), rising times, in seconds or of the type datetime64, or None.
        first_row: The row of `name` with which the recording begins, if it is a part of it.

    Raises:
        DataError: `x` is not a table of numbers within `LARGEST` of 0, labels or times do not fit it, or times do not rise.

    Example:
        >>> recording = Recording(values, "pump_3.csv", label=labels)  # arrays (rows, C) and (rows,)
        >>> start = recording[:400]
    """

    x: np.ndarray
    name: str
    label: np.ndarray | None = None
    time: np.ndarray | None = None
    first_row: int = 0

    def __post_init__(self) -> None:
        x = np.asanyarray(self.x)
        if x.ndim != 2 or x.dtype.kind not in "fiu" or not x.size:
            raise DataError(f"{self.name}: expected numbers (rows, channels). Received: {x.dtype}, shape {x.shape}.")
        with np.errstate(over="ignore", under="ignore"):  # overflow becomes infinite
            x = np.ma.filled(x.astype(np.float32, copy=False), np.nan)
        unusable = np.abs(x) > LARGEST  # false for NaN
        if unusable.any():
            row, channel = np.argwhere(unusable)[0]
            place = f"row {row}, channel {channel} (counted from 0)"
            raise DataError(f"{self.name}, {place}: expected a number within {LARGEST:g} of 0, found {x[row, channel]}.")
        object.__setattr__(self, "x", x)
        if self.label is not None:
            object.__setattr__(self, "label", check_binary(f"{self.name}: labels", self.label, len(x), "row"))
        if self.time is not None:
            object.__setattr__(self, "time", self._check_times(np.asarray(self.time)))

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, rows: slice) -> "Recording":
        """Returns the part of the recording in a slice of rows."""
        label, time = (None if values is None else values[rows] for values in (self.label, self.time))
        return Recording(self.x[rows], self.name, label, time, self.first_row + rows.indices(len(self))[0])

    def _check_times(self, time: Any) -> np.ndarray:
        if time.shape != (len(self.x),) or time.dtype.kind not in "fiuM":
            received = f"{time.dtype}, shape {time.shape}"
            raise DataError(f"{self.name}: expected a time for each of {len(self.x)} rows. Received: {received}.")
        falls = np.flatnonzero(~(time[1:] > time[:-1]))  # also where a time is missing
        if len(falls):
            row = falls[0] + 1
            fault = "a repeated time" if time[row] == time[row - 1] else "a time that does not rise"
            raise DataError(
                f"{self.name}, row {row} (from 0): {fault}, {time[row]} after {time[row - 1]}. Sort the rows, and keep one for "
                "each time."
            )
        return np.asarray(time)


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
