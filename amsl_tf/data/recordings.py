"""Reads windows from recordings of any length and writes tables of scores, both in constant memory.

A recording is an .npy array (rows, C), or a CSV or Parquet table whose rows are time steps. Windows that are cut already,
(N, T, C) in an .npy array or below each other in a table, are a recording with a stride of T rows.
"""

import logging
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from amsl_tf.data.files import atomic_file
from amsl_tf.data.store import open_array
from amsl_tf.data.windows import chunks
from amsl_tf.errors import AMSLError, DataError

log = logging.getLogger(__name__)

ROWS = 16_384  # rows of a recording in memory at a time
BATCH = 64  # windows in a batch
FORMATS = (".npy", ".csv", ".parquet")
OUTPUT_FORMATS = (".csv", ".parquet")
ADVICE = f"Name a file that exists and ends in {', '.join(FORMATS)}."


def read_windows(
    file: Path,
    shape: tuple[int, int],
    stride: int | None = None,
    columns: Sequence[str] = (),
    header: bool = True,
    names: Sequence[str] = (),
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Reads the windows of a file in batches; an empty cell of a table is NaN.

    Args:
        file: A file with one of the suffixes `FORMATS`.
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
    if columns and file.suffix == ".npy":
        raise DataError(f"{file}: an array has no named columns. Remove --columns.")
    rows = _array_rows(file, steps, stride) if file.suffix == ".npy" else _table_rows(file, columns, header, names)
    count = 0

    def parts() -> Iterator[np.ndarray]:
        nonlocal count
        for part in rows:
            if part.shape[1] != channels:
                advice = f"Name the {channels} columns that are channels with --columns."
                raise DataError(f"{file}: expected {channels} channels, found {part.shape[1]}. {advice}")
            count += len(part)
            yield part

    if stride is not None and stride < 1:
        raise DataError(f"stride must be at least 1. Received: {stride}.")
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


def _array_rows(file: Path, steps: int, stride: int | None) -> Iterator[np.ndarray]:
    array = open_array(file, ADVICE)
    if array.ndim not in (2, 3) or array.dtype.kind not in "fiu" or not array.shape[-1]:
        raise DataError(
            f"{file}: expected numbers, (rows, channels) or (windows, time steps, channels). "
            f"Received: {array.dtype}, shape {array.shape}."
        )
    if array.ndim == 3 and (array.shape[1] != steps or stride not in (None, steps)):
        raise DataError(
            f"{file}: expected windows of {steps} time steps, without a stride. "
            f"Received: {array.shape[1]} time steps{f', stride {stride}' if stride else ''}."
        )
    yield from (part for _, part in chunks(array.reshape(-1, array.shape[-1]), ROWS))


def _table_rows(file: Path, columns: Sequence[str], header: bool, names: Sequence[str]) -> Iterator[np.ndarray]:
    has_names = header or file.suffix != ".csv"
    selected = columns or (names if has_names else ())
    start = 0
    for table in _read_tables(file, header):
        table.columns = table.columns.map(str)
        if header and file.suffix == ".csv" and not start and not (selected and set(selected) <= set(table.columns)):
            _check_header(file)
        if table.empty:
            continue
        missing = [name for name in selected if name not in table.columns]
        if missing:
            fault = f"there is no column {missing[0]}{'' if columns else ', a channel of the detector'}"
            raise DataError(f"{file}: {fault}; there are {', '.join(table.columns)}. Name the channels with --columns.")
        channels = table[[*selected]] if selected else table
        invalid = [position for position, dtype in enumerate(channels.dtypes) if dtype.kind not in "fiu"]
        if invalid:
            raise DataError(f"{file}: {_describe_invalid(channels.iloc[:, invalid[0]], start)}")
        start += len(table)
        yield channels.to_numpy(np.float64)


def _describe_invalid(column: pd.Series, start: int) -> str:
    """Returns the message for a column that is not numeric, of a part of a table that begins at row `start`."""
    bad = np.flatnonzero(column.notna() & pd.to_numeric(column, errors="coerce").isna())
    fault = f"column {column.name}: expected numbers, found {column.dtype}"
    if len(bad):
        fault = f"column {column.name}, row {start + bad[0]} (from 0): expected a number, found {column.iloc[bad[0]]!r}"
    return f"{fault}. Correct it, or name the channels with --columns; use --no-header if the first line is data."


def _check_header(file: Path) -> None:
    """Raises DataError if the first line of a CSV looks like data; 0, 1, 2, ... are names that pandas writes."""
    cells = pd.read_csv(file, header=None, nrows=1, dtype=str, keep_default_na=False).iloc[0]  # unparsed text
    if len(cells) > 1 and list(cells) == [str(position) for position in range(len(cells))]:
        first = ", ".join(cells[:3])
        log.warning(f"{file}: the first line, {first} ..., is used as column names. Use --no-header if it is data.")
    elif all(_is_number(cell) for cell in cells):
        raise DataError(
            f"{file}: the first line holds only numbers. Use --no-header if it is data; if it names the columns, name the "
            "channels with --columns."
        )


def _is_number(cell: str) -> bool:
    try:
        float(cell or "nan")
    except ValueError:
        return False
    return True


def _read_tables(file: Path, header: bool) -> Iterator[pd.DataFrame]:
    parquet = _parquet() if file.suffix == ".parquet" else None
    try:
        if parquet is None:
            tables = pd.read_csv(file, chunksize=ROWS, header=0 if header else None, index_col=False)
            while True:
                with warnings.catch_warnings():
                    warnings.simplefilter("error", pd.errors.ParserWarning)  # rows with more cells than the header
                    table = next(tables, None)
                if table is None:
                    break
                yield table
        else:
            with parquet.ParquetFile(file) as table:
                yield from (batch.to_pandas() for batch in table.iter_batches(ROWS))
    except (ValueError, pd.errors.ParserWarning) as error:  # pandas' ParserError and EmptyDataError, pyarrow's ArrowInvalid
        raise DataError(f"{file}: not a complete table ({error}).") from error


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
        with np.errstate(over="ignore"):  # overflow becomes infinite, and the window invalid
            part = np.asarray(part, np.float32)
        skipped, skip = min(skip, len(part)), max(skip - len(part), 0)
        start, part = start + skipped, part[skipped:]
        rest = part if rest is None else np.concatenate([rest, part])
        count = max(0, (len(rest) - steps) // stride + 1)
        for _, offsets in chunks(np.arange(count) * stride, BATCH):
            yield start + offsets, np.stack([rest[offset : offset + steps] for offset in offsets])
        skipped = min(count * stride, len(rest))
        rest, start, skip = rest[skipped:], start + skipped, skip + count * stride - skipped


def check_input(file: Path) -> None:
    """Raises DataError if `read_windows` cannot read a file of this name."""
    if file.suffix not in FORMATS:
        raise DataError(f"{file}: cannot be read. {ADVICE}")
    if not file.is_file():
        raise DataError(f"{file}: not found. {ADVICE}")


def check_output(file: Path, source: Path) -> None:
    """Raises AMSLError if `write_table` cannot write a file of this name, or would overwrite the input `source`."""
    if file.exists() and source.exists() and file.samefile(source):
        raise AMSLError(f"{file}: is the input, which would be overwritten. Name another file.")
    if file.is_dir():
        raise AMSLError(f"{file}: is a folder. Name a file.")
    if file.suffix not in OUTPUT_FORMATS:
        raise AMSLError(f"{file}: cannot be written. Name a file that ends in {' or '.join(OUTPUT_FORMATS)}.")


def write_table(file: Path, parts: Iterable[dict[str, np.ndarray]]) -> None:
    """Writes a table to a CSV or Parquet file part by part, completely or not at all.

    Args:
        file: A file that `check_output` accepts.
        parts: The columns of each part by name, (rows,) each; the same names in all parts.

    Raises:
        AMSLError: Parquet needs a package that is not installed.
    """
    tables = (pd.DataFrame(part) for part in parts)
    with atomic_file(file) as temporary:
        if file.suffix == ".csv":
            with temporary.open("w", newline="") as opened:
                for number, table in enumerate(tables):
                    table.to_csv(opened, index=False, header=not number)
            return
        parquet = _parquet()
        from pyarrow import Table

        with ExitStack() as stack:
            writer = None
            for table in tables:
                part = Table.from_pandas(table, preserve_index=False)
                writer = writer or stack.enter_context(parquet.ParquetWriter(temporary, part.schema))
                writer.write_table(part)


def _parquet() -> Any:
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise AMSLError(f"Parquet needs pyarrow ({error}). Run pip install 'amsl_tf[serving]'.") from error
    return parquet
