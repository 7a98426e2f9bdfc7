"""Windows from recordings of any length, and their scores to a file, both part by part.

A recording is an .npy array (rows, C), or a CSV or Parquet table whose rows are time steps; it is cut into windows. Windows
that were cut before, (N, T, C) in an .npy array or below each other in a table, are a recording that is cut every T rows.
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

ROWS = 16_384  # of a recording that are held in memory
BATCH = 64  # windows
FORMATS = (".npy", ".csv", ".parquet")
WRITTEN = (".csv", ".parquet")
ADVICE = f"Name a file that exists and ends in {', '.join(FORMATS)}."


def read_windows(
    file: Path,
    shape: tuple[int, int],
    stride: int | None = None,
    columns: Sequence[str] = (),
    header: bool = True,
    names: Sequence[str] = (),
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Windows of a file, part by part; an empty cell of a table is NaN.

    Args:
        file: Ends in one of `FORMATS`.
        shape: (T, C) of a window.
        stride: Rows from the start of a window to the start of the next; T if None.
        columns: Those of a table that are the channels, in their order; if empty, those called `names`, and all where nothing
            has a name.
        header: Whether the first line of a CSV names its columns; else they are 0, 1, ...
        names: Of the channels, if known.

    Yields:
        The rows that some windows start at (n,), counted from 0, and the windows, float32 (n, T, C). Rows at the end that do
        not fill a window are left out.

    Raises:
        DataError: The file is missing or broken, has too few rows or other channels, or holds something other than numbers.
        AMSLError: Parquet cannot be read here.
    """
    check_input(file)
    steps, channels = shape
    if columns and file.suffix == ".npy":
        raise DataError(f"{file}: an array has no columns with names. Leave --columns out.")
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

    yield from cut(parts(), steps, stride or steps)
    if count < steps:
        raise DataError(f"{file}: expected at least {steps} rows, those of a window, found {count}. Give a longer recording.")


def read_window(file: Path, number: int, shape: tuple[int, int], *how: Any) -> tuple[int, np.ndarray]:
    """One window of a file, counted from 0: the row that it starts at, and the window, float32 (T, C).

    Args:
        file, shape, how: As `read_windows` takes them.
        number: Of the window.

    Raises:
        DataError: There is no such window, or what `read_windows` raises.
    """
    seen = 0
    for places, windows in read_windows(file, shape, *how):
        if number < seen + len(windows):
            return int(places[number - seen]), windows[number - seen]
        seen += len(windows)
    raise DataError(f"{file}: there is no window {number}. There are {seen}, counted from 0.")


def _array_rows(file: Path, steps: int, stride: int | None) -> Iterator[np.ndarray]:
    array = open_array(file, ADVICE)
    if array.ndim not in (2, 3) or array.dtype.kind not in "fiu" or not array.shape[-1]:
        raise DataError(
            f"{file}: expected numbers, (rows, channels) or (windows, time steps, channels). "
            f"Received: {array.dtype}, shape {array.shape}."
        )
    if array.ndim == 3 and (array.shape[1] != steps or stride not in (None, steps)):
        raise DataError(
            f"{file}: expected windows of {steps} time steps, to be taken as they are. "
            f"Received: {array.shape[1]} time steps{f', stride {stride}' if stride else ''}."
        )
    yield from (part for _, part in chunks(array.reshape(-1, array.shape[-1]), ROWS))


def _table_rows(file: Path, columns: Sequence[str], header: bool, names: Sequence[str]) -> Iterator[np.ndarray]:
    is_named = header or file.suffix != ".csv"
    wanted = columns or (names if is_named else ())
    start = 0
    for table in _read_tables(file, header):
        table.columns = table.columns.map(str)
        if header and file.suffix == ".csv" and not start and not (wanted and set(wanted) <= set(table.columns)):
            _check_header(file)
        if table.empty:
            continue
        missing = [name for name in wanted if name not in table.columns]
        if missing:
            fault = f"there is no column {missing[0]}{'' if columns else ', a channel of the detector'}"
            raise DataError(f"{file}: {fault}; there are {', '.join(table.columns)}. Name the channels with --columns.")
        chosen = table[[*wanted]] if wanted else table
        other = [place for place, kind in enumerate(chosen.dtypes) if kind.kind not in "fiu"]
        if other:
            raise DataError(f"{file}: {_no_number(chosen.iloc[:, other[0]], start)}")
        start += len(table)
        yield chosen.to_numpy(np.float64)


def _no_number(column: pd.Series, start: int) -> str:
    """What is wrong with a column of a table that begins at row `start`, and what to do."""
    bad = np.flatnonzero(column.notna() & pd.to_numeric(column, errors="coerce").isna())
    fault = f"column {column.name}: expected numbers, found {column.dtype}"
    if len(bad):
        fault = f"column {column.name}, row {start + bad[0]} (from 0): expected a number, found {column.iloc[bad[0]]!r}"
    return f"{fault}. Mend it or name the channels with --columns; --header says whether the first line has names."


def _check_header(file: Path) -> None:
    """Raises DataError where the first line of a CSV looks like data. 0, 1, 2, ... does not: so pandas names columns."""
    cells = pd.read_csv(file, header=None, nrows=1, dtype=str, keep_default_na=False).iloc[0]  # as they are written
    if len(cells) > 1 and list(cells) == [str(place) for place in range(len(cells))]:
        log.warning(
            f"{file}: its first line, {', '.join(cells[:3])} and so on, is taken for names. Say --no-header if it is data."
        )
    elif all(_is_number(cell) for cell in cells):
        raise DataError(
            f"{file}: its first line holds numbers only. If it does not name the columns, say --no-header; if it does, name "
            "those that are channels with --columns."
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
        raise DataError(f"{file}: not a whole table ({error}).") from error


def cut(parts: Iterable[np.ndarray], steps: int, stride: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Cuts a recording into windows.

    Args:
        parts: Its rows, (rows, C) each.
        steps: T, rows of a window.
        stride: Rows from the start of a window to the start of the next.

    Yields:
        Some windows: the rows that they start at (n,), counted from 0, and the windows, float32 (n, T, C). Rows at the end
        that do not fill a window are left out.
    """
    rest, start, skip = None, 0, 0  # rows that are still needed, the place of the first, rows to pass over before the next
    for part in parts:
        with np.errstate(over="ignore"):  # what does not fit becomes infinite, and that window not valid
            part = np.asarray(part, np.float32)
        passed, skip = min(skip, len(part)), max(skip - len(part), 0)
        start, part = start + passed, part[passed:]
        rest = part if rest is None else np.concatenate([rest, part])
        count = max(0, (len(rest) - steps) // stride + 1)
        for _, places in chunks(np.arange(count) * stride, BATCH):
            yield start + places, np.stack([rest[place : place + steps] for place in places])
        passed = min(count * stride, len(rest))
        rest, start, skip = rest[passed:], start + passed, skip + count * stride - passed


def check_input(file: Path) -> None:
    """Raises DataError where `read_windows` could not read a file of this name."""
    if file.suffix not in FORMATS:
        raise DataError(f"{file}: cannot be read. {ADVICE}")
    if not file.is_file():
        raise DataError(f"{file}: not found. {ADVICE}")


def check_output(file: Path, source: Path) -> None:
    """Raises AMSLError where `write_table` could not write a file of this name, or would destroy what is read."""
    if file.exists() and source.exists() and file.samefile(source):
        raise AMSLError(f"{file}: is what is read, and would be lost. Name another file.")
    if file.is_dir():
        raise AMSLError(f"{file}: is a folder. Name a file.")
    if file.suffix not in WRITTEN:
        raise AMSLError(f"{file}: cannot be written. Name a file that ends in {' or '.join(WRITTEN)}.")


def write_table(file: Path, parts: Iterable[dict[str, np.ndarray]]) -> None:
    """Writes columns, part by part, to a CSV or Parquet file, whole or not at all.

    Args:
        file: That `check_output` accepts.
        parts: Columns by name.

    Raises:
        AMSLError: Parquet cannot be written here.
    """
    tables = (pd.DataFrame(part) for part in parts)
    with atomic_file(file) as temporary:
        if file.suffix == ".csv":
            with temporary.open("w", newline="") as opened:
                for place, table in enumerate(tables):
                    table.to_csv(opened, index=False, header=not place)
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
        raise AMSLError(f"Parquet needs pyarrow ({error}). Run pip install -r requirements-serving.txt.") from error
    return parquet
