"""Reads recordings from NumPy files."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from amsl_tf.data.cells import convert_labels
from amsl_tf.data.frames import match_channels
from amsl_tf.data.reading import NO_TIME, Reading
from amsl_tf.data.rows import Rows
from amsl_tf.data.store import open_array
from amsl_tf.data.tables import ROWS
from amsl_tf.data.time_column import TimeColumn
from amsl_tf.data.windows import chunks
from amsl_tf.errors import DataError

SAVE = "Save it again with numpy.save."
OPTIONAL = ("time", "label", "channel_names")  # the arrays of an .npz file besides `x`


class ArrayFile:
    """An .npy file, which is memory-mapped, or an .npz file, which is loaded.

    Args:
        file: The file.
        reading: `columns` selects channels of an .npz file with names, and `time` may be "none".
        names: The names of the channels, if known.

    Attributes:
        name, channel_names, window_steps, time_zone, time_name: See `Source`.

    Raises:
        DataError: The file is damaged, or has other arrays or channels.
    """

    def __init__(self, file: Path, reading: Reading, names: Sequence[str]) -> None:
        self.name = str(file)
        arrays = _load_archive(file) if file.suffix.lower() == ".npz" else {"x": open_array(file, SAVE)}
        array = self._array = arrays.pop("x")
        if array.ndim not in (2, 3) or array.dtype.kind not in "fiu" or not array.shape[-1]:
            raise DataError(
                f"{file}: expected numbers, (rows, channels) or (windows, time steps, channels). "
                f"Received: {array.dtype}, shape {array.shape}. Save such an array."
            )
        if not array.size:
            raise DataError(f"{file}: expected rows of numbers, found none: shape {array.shape}. Record at least one window.")
        self.window_steps = array.shape[1] if array.ndim == 3 else None
        self._check_reading(reading, arrays)
        self._order, self.channel_names = self._find_channels(arrays.get("channel_names"), reading, names)
        rows = array.shape[0] * (self.window_steps or 1)
        self._times, self._labels = (self._find_column(arrays.get(name), name, rows) for name in ("time", "label"))
        self._time_column = None
        if self._times is not None and reading.time != NO_TIME:
            self._time_column = TimeColumn("time", self.name, self._times[:ROWS], reading.time_format)

    @property
    def time_zone(self) -> str | None:
        return self._time_column.time_zone if self._time_column else None

    @property
    def time_name(self) -> str | None:
        return "time" if self._time_column else None

    def parts(self) -> Iterator[Rows]:
        """Yields the rows, at most `ROWS`, or one window, at a time."""
        start = 0
        for _, part in chunks(self._array, max(1, ROWS // (self.window_steps or 1))):
            x = np.asarray(part, np.float32 if part.dtype == np.float32 else np.float64).reshape(-1, part.shape[-1])
            end, time, label = start + len(x), None, None
            if self._time_column and self._times is not None:
                time = self._time_column.convert(self._times[start:end], start)
            if self._labels is not None:
                label = convert_labels(self._labels[start:end], np.isnan(x).all(axis=1), self.name, start)
            yield Rows(x[:, self._order], np.arange(start, end), time, label)
            start = end

    def _check_reading(self, reading: Reading, arrays: dict[str, np.ndarray]) -> None:
        times, labels = (("", NO_TIME, "time"), ("", "label"))
        is_wrong = {
            "columns": bool(reading.columns) and "channel_names" not in arrays,
            "drop": bool(reading.drop),
            "time": reading.time not in (times if "time" in arrays else times[:2]),
            "label": reading.label not in (labels if "label" in arrays else labels[:1]),
        }
        for option in (name for name, wrong in is_wrong.items() if wrong):
            raise DataError(f"{self.name}: an array has no named columns. Remove --{option}.")

    def _find_channels(
        self, named: np.ndarray | None, reading: Reading, names: Sequence[str]
    ) -> tuple[list[int] | slice, tuple[str, ...]]:
        """Finds the positions of the channels, and their names."""
        count = self._array.shape[-1]
        if named is None:
            if names and len(names) != count:
                raise DataError(
                    f"{self.name}: expected {len(names)} channels, found {count}: shape {self._array.shape}. Save an array "
                    f"whose last axis has the {len(names)} channels of the detector, in order."
                )
            return slice(None), tuple(names) or tuple(f"channel {channel}" for channel in range(count))
        found = [str(name) for name in named.flat]
        if named.shape != (count,) or named.dtype.kind != "U" or len(set(found)) < count:
            received = f"{named.dtype}, shape {named.shape}"
            raise DataError(f"{self.name}: channel_names must be {count} different names. Received: {received}. {SAVE}")
        if reading.columns and names and set(reading.columns) != set(names):
            raise DataError(f"{self.name}: --columns are not the {len(names)} channels of the detector. Remove --columns.")
        wanted = names or reading.columns or found
        match_channels(found, wanted, self.name, "channel_names")
        return [found.index(name) for name in wanted], tuple(wanted)

    def _find_column(self, values: np.ndarray | None, name: str, rows: int) -> pd.Series | None:
        if values is None:
            return None
        if values.shape != (rows,):
            raise DataError(f"{self.name}: {name} must have a value for each of {rows} rows. Received: shape {values.shape}.")
        return pd.Series(values, name=name)


def _load_archive(file: Path) -> dict[str, np.ndarray]:
    """Loads `x`, and what else there is of `OPTIONAL`; the only array of a file may have any name."""
    try:
        with np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except Exception as error:  # a damaged file raises exceptions of any type
        reason = " ".join(str(error).split())
        raise DataError(
            f"{file}: not a complete .npz file of arrays ({reason:.200}). Save it again with numpy.savez."
        ) from error
    if len(arrays) == 1:
        return {"x": next(iter(arrays.values()))}
    if "x" not in arrays or not set(arrays) <= {"x", *OPTIONAL}:
        found = ", ".join(arrays) or "none"
        raise DataError(f"{file}: expected one array, or x with {', '.join(OPTIONAL)} as far as known. Found: {found:.200}.")
    return arrays
