"""Reads windows from recordings of any length in constant memory.

A recording is an .npy array (rows, C), or a CSV or Parquet table whose rows are time steps. Windows that are cut already,
(N, T, C) in an .npy array or below each other in a table, are a recording with a stride of T rows.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from amsl_tf.data.formats import check_input, file_format
from amsl_tf.data.store import open_array
from amsl_tf.data.tables import ROWS, read_channels
from amsl_tf.data.windows import chunks
from amsl_tf.errors import DataError

BATCH = 64  # windows in a batch


def read_windows(
    file: Path,
    shape: tuple[int, int],
    stride: int | None = None,
    columns: Sequence[str] = (),
    header: bool = True,
    names: Sequence[str] = (),
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Reads the windows of a file in batches.

    An empty cell of a table is NaN, and so is each cell of a blank line; blank lines at the end of a CSV are omitted. A
    warning is logged if the times of a table have gaps: a column with such a name that is not a channel, or an index of dates.

    Args:
        file: An .npy, CSV (also compressed as .csv.gz, .csv.bz2 or .csv.xz) or Parquet file.
        shape: (T, C) of a window.
        stride: The number of rows between the starts of consecutive windows; T if None.
        columns: The columns of a table that are the channels, in order; if empty, the columns with the names `names`, and all
            columns if these are empty or the columns have no names.
        header: Whether the first line of a CSV names its columns; otherwise they are named 0, 1, ...
        names: The names of the channels, if known.

    Yields:
        The first row of each window of a batch, int (n,), counted from 0, and the windows, float32 (n, T, C), in the units of
        the file. Rows at the end that do not fill a window are omitted.

    Raises:
        DataError: The file is missing or broken, has too few rows or other channels, or holds values that are not numbers.
        AMSLError: Parquet needs a package that is not installed.

    Example:
        >>> for rows, windows in read_windows(Path("recording.csv"), detector.window_shape, stride=25):
        ...     scores = detector.detect(windows)["score"]
    """
    check_input(file)
    steps, channels = shape
    if stride is not None and stride < 1:
        raise DataError(f"stride must be at least 1. Received: {stride}.")
    if file_format(file) != ".npy":
        rows = read_channels(file, channels, columns, header, names)
    elif columns:
        raise DataError(f"{file}: an array has no named columns. Remove --columns.")
    else:
        rows = _array_rows(file, shape, stride)
    count = 0

    def parts() -> Iterator[np.ndarray]:
        nonlocal count
        for part in rows:
            count += len(part)
            yield part

    yield from cut(parts(), steps, stride or steps)
    if count < steps:
        raise DataError(
            f"{file}: expected at least {steps} rows, the length of a window, found {count}. Give a longer recording."
        )


def read_window(file: Path, number: int, shape: tuple[int, int], *reading: Any) -> tuple[int, np.ndarray]:
    """Reads one window of a file.

    Args:
        file, shape, reading: The arguments of `read_windows`.
        number: The index of the window, counted from 0.

    Returns:
        The first row of the window, counted from 0, and the window, float32 (T, C).

    Raises:
        DataError: The file has no such window, or cannot be read (see `read_windows`).
    """
    count = 0
    for rows, windows in read_windows(file, shape, *reading):
        if number < count + len(windows):
            return int(rows[number - count]), windows[number - count]
        count += len(windows)
    raise DataError(f"{file}: there is no window {number}. There are {count}, counted from 0.")


def _array_rows(file: Path, shape: tuple[int, int], stride: int | None) -> Iterator[np.ndarray]:
    array, (steps, channels) = open_array(file, "Save it again with numpy.save."), shape
    if array.ndim not in (2, 3) or array.dtype.kind not in "fiu" or not array.shape[-1]:
        raise DataError(
            f"{file}: expected numbers, (rows, channels) or (windows, time steps, channels). "
            f"Received: {array.dtype}, shape {array.shape}. Save such an array."
        )
    if array.shape[-1] != channels:
        raise DataError(
            f"{file}: expected {channels} channels, found {array.shape[-1]}: shape {array.shape}. Save an array whose last "
            f"axis has the {channels} channels of the detector, in order."
        )
    if array.ndim == 3 and (array.shape[1] != steps or stride not in (None, steps)):
        raise DataError(
            f"{file}: expected windows of {steps} time steps, without a stride. "
            f"Received: {array.shape[1]} time steps{f', stride {stride}' if stride else ''}."
        )
    size = ROWS if array.ndim == 2 else max(1, ROWS // steps)
    yield from (part.reshape(-1, channels) for _, part in chunks(array, size))


def cut(parts: Iterable[np.ndarray], steps: int, stride: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Cuts a recording into windows.

    Args:
        parts: The rows of the recording in consecutive parts, (rows, C) each.
        steps: T, the number of rows of a window.
        stride: The number of rows between the starts of consecutive windows.

    Yields:
        The first row of each window of a batch, int (n,), counted from 0, and the windows, float32 (n, T, C). Rows at the end
        that do not fill a window are omitted.
    """
    rest, start, skip = None, 0, 0  # rows still needed, the position of the first, rows to skip before the next
    for part in parts:
        with np.errstate(over="ignore", under="ignore"):  # overflow becomes infinite, and the window invalid
            part = np.asarray(part, np.float32)
        skipped, skip = min(skip, len(part)), max(skip - len(part), 0)
        start, part = start + skipped, part[skipped:]
        rest = part if rest is None else np.concatenate([rest, part])
        count = max(0, (len(rest) - steps) // stride + 1)
        for _, offsets in chunks(np.arange(count) * stride, BATCH):
            yield start + offsets, np.stack([rest[offset : offset + steps] for offset in offsets])
        skipped = min(count * stride, len(rest))
        rest, start, skip = rest[skipped:], start + skipped, skip + count * stride - skipped
