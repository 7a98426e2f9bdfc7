"""Reads whole tables of numbers from text files, and reports the line of a fault."""

from collections.abc import Collection
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd

from amsl_tf.data.conversion import parse_number
from amsl_tf.data.files import check_regular
from amsl_tf.errors import DataError

SHOWN = 40  # characters of a cell in an error message


def read_numbers(
    file: Path, columns: int, separator: str, advice: str, *, skip: int = 0, text: Collection[int] = (), missing: bool = False
) -> pd.DataFrame:
    """Reads a table of numbers.

    Args:
        file: A text file in UTF-8. Blank lines at its end are omitted.
        columns: The number of columns.
        separator: The separator of the cells, one character; " " for any number of spaces or tabs.
        advice: The advice to the user if the file is missing or broken, for the error message.
        skip: The number of lines before the table.
        text: The positions of columns that are read as text.
        missing: Whether numbers may be NaN or empty.

    Returns:
        The table, with columns named 0, 1, ...; float64, and text where it was asked for.

    Raises:
        DataError: The file is missing, a line has another number of cells, or a cell is not a finite number. The message names
            file and line.
    """
    check_regular(file, advice)
    dtypes = {column: str if column in text else np.float64 for column in range(columns)}
    try:
        table = pd.read_csv(
            file,
            sep=r"\s+" if separator == " " else separator,
            header=None,
            skiprows=skip,
            dtype=dtypes,
            skip_blank_lines=False,
            keep_default_na=False,
            na_values=["", "NaN", "nan"],
            index_col=False,
            float_precision="round_trip",
        )
    except (ValueError, OSError) as error:  # pandas' ParserError and EmptyDataError, and text that is not UTF-8
        raise _find_fault(file, columns, separator, advice, skip, text, missing, error) from error
    filled = np.flatnonzero(table.notna().any(axis=1))
    table = table.iloc[: filled[-1] + 1 if len(filled) else 0]
    numbers = table.drop(columns=[*text], errors="ignore").to_numpy()
    has_columns = len(table) and table.shape[1] == columns
    if missing:
        is_valid = not np.isinf(numbers).any() and not _has_short_lines(file, columns, separator, skip)
    else:
        is_valid = np.isfinite(numbers).all()
    if not has_columns or not is_valid:
        raise _find_fault(file, columns, separator, advice, skip, text, missing)
    return table


def _split(line: str, separator: str) -> list[str]:
    return line.split() if separator == " " else line.rstrip("\r\n").split(separator)


def _has_short_lines(file: Path, columns: int, separator: str, skip: int) -> bool:
    """Returns whether a line lacks cells, which pandas reads as missing values."""
    with file.open(encoding="utf-8-sig") as lines:
        return any(len(_split(line, separator)) != columns for line in islice(lines, skip, None) if line.strip())


def _find_fault(
    file: Path,
    columns: int,
    separator: str,
    advice: str,
    skip: int,
    text: Collection[int],
    missing: bool,
    error: Exception | None = None,
) -> DataError:
    """Reads a table line by line, slowly, and returns the error for the first fault."""
    lines = file.read_text(encoding="utf-8-sig", errors="replace").rstrip().splitlines()
    if len(lines) <= skip:
        return DataError(
            f"{file}: expected a table of {columns} columns, found {'no rows' if lines else 'an empty file'}. {advice}"
        )
    for number, line in enumerate(lines[skip:], start=skip + 1):
        cells = _split(line, separator)
        if len(cells) != columns:
            return DataError(f"{file}, line {number}: expected {columns} values, found {len(cells)}. {advice}")
        for column, cell in enumerate(cells):
            value = parse_number(cell)
            if column not in text and (value is None or np.isinf(value) or (np.isnan(value) and not missing)):
                place = f"{file}, line {number}, column {column + 1}"
                return DataError(f"{place}: expected a finite number, found {cell.strip()[:SHOWN]!r}. {advice}")
    return DataError(f"{file}: not a table of {columns} columns ({' '.join(str(error).split())}). {advice}")
