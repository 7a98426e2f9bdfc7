"""Reads whole tables of numbers from text files, and reports the line of a fault."""

from collections.abc import Collection
from dataclasses import dataclass
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
    table_format = _Format(columns, separator, skip, text, missing)
    try:
        table = pd.read_csv(
            file,
            sep=r"\s+" if separator == " " else separator,
            header=None,
            skiprows=skip,
            dtype={column: str if column in text else np.float64 for column in range(columns)},
            skip_blank_lines=False,
            keep_default_na=False,
            na_values=["", "NaN", "nan"],
            index_col=False,
            float_precision="round_trip",
        )
    except (ValueError, OSError) as error:  # pandas' ParserError and EmptyDataError, and text that is not UTF-8
        raise DataError(f"{table_format.describe_fault(file, str(error))} {advice}") from error
    filled = np.flatnonzero(table.notna().any(axis=1))
    table = table.iloc[: filled[-1] + 1 if len(filled) else 0]
    numbers = table.drop(columns=[*text], errors="ignore").to_numpy()
    is_valid = len(table) and table.shape[1] == columns and not np.isinf(numbers).any()
    if not is_valid or (table_format.has_short_lines(file) if missing else np.isnan(numbers).any()):
        raise DataError(f"{table_format.describe_fault(file)} {advice}")
    return table


@dataclass(frozen=True)
class _Format:
    """The arguments of `read_numbers` that describe a table."""

    columns: int
    separator: str
    skip: int
    text: Collection[int]
    missing: bool

    def split(self, line: str) -> list[str]:
        return line.split() if self.separator == " " else line.rstrip("\r\n").split(self.separator)

    def has_short_lines(self, file: Path) -> bool:
        """Returns whether a line lacks cells, which pandas reads as missing values."""
        with file.open(encoding="utf-8-sig") as lines:
            return any(len(self.split(line)) != self.columns for line in islice(lines, self.skip, None) if line.strip())

    def describe_fault(self, file: Path, reason: str = "") -> str:
        """Reads a table line by line, slowly, and describes the first fault."""
        lines = file.read_text(encoding="utf-8-sig", errors="replace").rstrip().splitlines()
        if len(lines) <= self.skip:
            found = "no rows" if lines else "an empty file"
            return f"{file}: expected a table of {self.columns} columns, found {found}."
        for number, line in enumerate(lines[self.skip :], start=self.skip + 1):
            cells = self.split(line)
            if len(cells) != self.columns:
                return f"{file}, line {number}: expected {self.columns} values, found {len(cells)}."
            for column, cell in enumerate(cells):
                value = parse_number(cell)
                if column not in self.text and (value is None or np.isinf(value) or (np.isnan(value) and not self.missing)):
                    found = repr(cell.strip()[:SHOWN])
                    return f"{file}, line {number}, column {column + 1}: expected a finite number, found {found}."
        return f"{file}: not a table of {self.columns} columns ({' '.join(reason.split())})."
