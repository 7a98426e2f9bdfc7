"""Reads the channels of CSV and Parquet tables in constant memory."""

import logging
import reprlib
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from amsl_tf.data.conversion import parse_number, to_float
from amsl_tf.data.csv_text import CSVText
from amsl_tf.data.formats import file_format, import_parquet
from amsl_tf.data.time_gaps import TimeGaps, is_time
from amsl_tf.errors import DataError

log = logging.getLogger(__name__)

ROWS = 16_384  # rows in memory at a time
SEPARATORS = {"\t": "tabs", r"\s+": "spaces"}  # in words, by the name for pandas
SHOWN_NAMES, SHOWN_LETTERS = 8, 40  # in an error message


def read_channels(file: Path, count: int, columns: Sequence[str], header: bool, names: Sequence[str]) -> Iterator[np.ndarray]:
    """Reads the channels of a table part by part, and logs a warning if a column of times has gaps.

    Args:
        file: A CSV or Parquet file.
        count: C, the number of channels.
        columns, header, names: As for `read_windows`.

    Yields:
        float64 (n, C); NaN for empty cells and blank lines. Blank lines at the end of a CSV are omitted.

    Raises:
        DataError: The table is broken, has other channels, or holds values that are not numbers.
        AMSLError: Parquet needs a package that is not installed.
    """
    if len(set(columns)) < len(columns):
        twice = next(name for name, number in Counter(columns).items() if number > 1)
        raise DataError(f"{file}: expected different channels, but column {twice} is named twice. Name it once in --columns.")
    if file_format(file) == ".parquet":
        yield from _select_channels(file, _read_parquet(file), count, columns, names)
        return
    with CSVText(file) as text:
        tables = _read_csv(file, text, header, columns or names)
        try:
            yield from _select_channels(file, tables, count, columns, names if header else (), header)
        except DataError as error:
            separator, has_decimal_commas = text.separator()
            if not separator:
                raise
            shown = SEPARATORS.get(separator, repr(separator))
            reading = f"{str(file)!r}, sep={separator!r}"
            reading += ", decimal=','" if has_decimal_commas else ""
            reading += "" if header else ", header=None"
            writing = "'converted.csv', index=False" + ("" if header else ", header=False")
            raise DataError(
                f"{file}: expected commas between cells; the lines look separated by {shown}. Convert the file with "
                f"pandas.read_csv({reading}).to_csv({writing})."
            ) from error


def _select_channels(
    file: Path,
    tables: Iterator[pd.DataFrame],
    count: int,
    columns: Sequence[str],
    names: Sequence[str],
    header: bool | None = None,  # None for Parquet
) -> Iterator[np.ndarray]:
    positions: list[int] | None = None
    gaps, start = TimeGaps(), 0
    try:
        for table in tables:
            if positions is None:
                positions = _find_channels(file, list(table.columns), count, columns, names)
            if (times := _find_times(table, positions)) is not None:
                gaps.update(times, start)
            channels = np.empty((len(table), count))
            for channel, position in enumerate(positions):
                column = table.iloc[:, position]
                channels[:, channel], invalid = _convert(column, header is not None)
                if invalid.any():
                    raise DataError(f"{file}: {_describe_invalid(column, int(invalid.argmax()), start, header)}")
            start += len(table)
            yield channels
    except GeneratorExit:  # the rest is not needed
        _warn_of_gaps(file, gaps)
        raise
    _warn_of_gaps(file, gaps)


def _warn_of_gaps(file: Path, gaps: TimeGaps) -> None:
    if description := gaps.describe():
        log.warning(f"{file}: the times have {description}. Split the file there: no window should span a gap.")


def _find_channels(file: Path, found: list[str], count: int, columns: Sequence[str], names: Sequence[str]) -> list[int]:
    """Finds the positions of the channels among the columns: those named, or all."""
    selected, frequency = columns or names, Counter(found)
    for name in selected:
        if not frequency[name]:
            fault = f"there is no column {name}{'' if columns else ', a channel of the detector'}"
            raise DataError(f"{file}: {fault}; there are {_shorten(found)}. Name the channels with --columns.")
        if frequency[name] > 1:
            raise DataError(f"{file}: column {name}, a channel, occurs {frequency[name]} times. Give each its own name.")
    if repeated := [name for name, number in frequency.items() if name and number > 1]:
        log.warning(f"{file}: the names of some columns occur several times: {_shorten(repeated)}.")
    places = {name: position for position, name in enumerate(found)}
    positions = [places[name] for name in selected] if selected else list(range(len(found)))
    if len(positions) != count:
        times = [found[position] for position in positions if is_time(found[position])]
        advice = f"Column {times[0]} looks like a time, not a channel: name" if times else "Name"
        received = f"found {len(positions)}: {_shorten([found[position] for position in positions])}"
        raise DataError(
            f"{file}: expected {count} channels, {received}. {advice} the {count} columns that are channels with --columns."
        )
    return positions


def _find_times(table: pd.DataFrame, positions: Sequence[int]) -> pd.Series | None:
    """Finds the times of a table: its index, or the first column of times that is not a channel."""
    if isinstance(table.index, pd.DatetimeIndex) or is_time(str(table.index.name)):
        return table.index.to_series()
    for position, name in enumerate(table.columns):
        if is_time(name) and position not in positions:
            return table.iloc[:, position]
    return None


def _convert(column: pd.Series, is_csv: bool) -> tuple[np.ndarray, np.ndarray]:
    """Converts a column to float64 (n,); also returns which values are not numbers, bool (n,)."""
    if column.dtype.kind in "fiu":  # those with missing values of pandas included
        return column.to_numpy(np.float64, na_value=np.nan), np.zeros(len(column), bool)
    values, invalid = to_float(column.to_numpy(object))
    if is_csv and invalid.any():  # one cell of text or spaces, or beyond 64 bits, makes the whole column text
        numbers = [parse_number(str(cell)) for cell in column[invalid]]
        values[invalid] = np.array(numbers, np.float64)
        invalid[invalid] = [number is None for number in numbers]
    return values, invalid


def _describe_invalid(column: pd.Series, row: int, start: int, header: bool | None) -> str:
    """Returns the message for a value that is not a number, in a part of a table that begins at row `start`."""
    found = reprlib.repr(column.to_numpy(object)[row])  # as objects of Python, not of NumPy
    fault = f"column {column.name}, row {start + row} (from 0): expected a number, found {found}"
    if column.dtype.kind == "M" or is_time(str(column.name)):
        return f"{fault}. The column looks like a time, not a channel: name the channels with --columns."
    advice = {None: "", True: "; use --no-header if the first line is data", False: "; remove --no-header if it is a name"}
    return f"{fault}. Correct it, or name the channels with --columns{advice[header]}."


def _shorten(names: Sequence[str]) -> str:
    """Lists the first names, each up to a length, and how many there are if these are not all."""
    shown = [name if len(name) <= SHOWN_LETTERS else f"{name[:SHOWN_LETTERS]}..." for name in names[:SHOWN_NAMES]]
    return ", ".join(shown) + (f", ... ({len(names):,} in all)" if len(names) > SHOWN_NAMES else "")


def _read_csv(file: Path, text: CSVText, header: bool, selected: Sequence[str]) -> Iterator[pd.DataFrame]:
    blank, cells = text.header()
    if not cells:
        raise DataError(f"{file}: expected a table, found blank lines only. Write it again.")
    if header and not (selected and set(selected) <= set(cells)):
        _check_header(file, cells)
    names, width = cells if header else [str(position) for position in range(len(cells))], len(cells)
    text.rewind()
    try:
        tables = pd.read_csv(
            text,
            header=None,
            names=range(width + 1),  # one more, since pandas ignores a cell too many in the first row of a part
            skiprows=blank + 1 if header else 0,
            skip_blank_lines=False,
            skipinitialspace=True,
            index_col=False,
            low_memory=False,  # one type for all rows of a part
            chunksize=ROWS,
        )
        while True:
            with warnings.catch_warnings():
                warnings.simplefilter("error", pd.errors.ParserWarning)  # cells too many in the first row of all
                table = next(tables, None)
            if table is None:
                return
            if table[width].notna().any():
                raise pd.errors.ParserError("rows with too many cells")
            yield table.iloc[:, :width].set_axis(names, axis="columns")
    except DataError:
        raise
    except (ValueError, pd.errors.ParserWarning) as error:  # pandas' ParserError
        line, found = text.long_line(width)
        fault = f"line {line} has {found:,} cells, the first line {width:,}" if line else " ".join(str(error).split())
        advice = "Correct it; numbers need decimal points, and text with commas needs quotes."
        raise DataError(f"{file}: not a complete table ({fault}). {advice}") from error


def _check_header(file: Path, cells: list[str]) -> None:
    """Raises DataError if the first line of a CSV looks like data; 0, 1, 2, ... are names that pandas writes."""
    if len(cells) > 1 and cells == [str(position) for position in range(len(cells))]:
        first = ", ".join(cells[:3])
        log.warning(f"{file}: the first line, {first} ..., is used as column names. Use --no-header if it is data.")
    elif all(parse_number(cell) is not None for cell in cells):
        raise DataError(
            f"{file}: the first line holds only numbers. Use --no-header if it is data; if it names the columns, name the "
            "channels with --columns."
        )


def _read_parquet(file: Path) -> Iterator[pd.DataFrame]:
    parquet = import_parquet()
    from pyarrow import ArrowException

    try:
        with parquet.ParquetFile(file) as opened:
            for batch in opened.iter_batches(ROWS):
                table = batch.to_pandas()
                yield table.set_axis(table.columns.map(str), axis="columns")
    except (ArrowException, ValueError, OSError, LookupError, TypeError) as error:  # the metadata of pandas may be damaged
        raise DataError(f"{file}: not a complete Parquet table ({' '.join(str(error).split())}). Write it again.") from error
