"""The rows of a recording in consecutive parts, as readers yield them."""

from dataclasses import dataclass, fields

import numpy as np


@dataclass(frozen=True, eq=False)  # arrays have no single truth value
class Rows:
    """Consecutive rows of a recording.

    Attributes:
        x: float64 or float32 (n, C), in the units of the file; NaN where a value is missing.
        row: int64 (n,), the rows of the file, counted from 0 without the header.
        time: (n,), datetime64[ns], in UTC if the file names a time zone, or float64, in seconds; missing ones are NaT or NaN.
            None if the recording has no times.
        label: int8 (n,), 1 for abnormal and 0 for normal rows; None without labels.
        starts: bool (n,), whether a row does not continue the row before it, as after a gap; None if all do.
    """

    x: np.ndarray
    row: np.ndarray
    time: np.ndarray | None = None
    label: np.ndarray | None = None
    starts: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.row)

    def __getitem__(self, rows: slice) -> "Rows":
        optional = (None if values is None else values[rows] for values in (self.time, self.label, self.starts))
        return Rows(self.x[rows], self.row[rows], *optional)


def join(first: Rows, second: Rows) -> Rows:
    """Concatenates two consecutive parts."""
    pairs = ((getattr(first, item.name), getattr(second, item.name)) for item in fields(Rows))
    return Rows(*(None if one is None else np.concatenate([one, two]) for one, two in pairs))  # type: ignore[arg-type]
