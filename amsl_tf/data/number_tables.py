"""Reads whole tables of numbers from text files, and reports the line of a fault."""

import csv
import io
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
        file: A text file in UTF-8, without quotes. Blank lines at its end are omitted.
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
    content = file.read_bytes().rstrip()
    table_format = _Format(columns, separator, skip, text, missing)
    try:
        if b"\0" in content:
            raise ValueError("NUL bytes")  # at which pandas ends a cell
        table = pd.read_csv(
            io.BytesIO(content),
            sep=r"\s+" if separator == " " else separator,
            header=None,
            skiprows=skip,
            dtype={column: str if column in text else np.float64 for column in range(columns)},
            skip_blank_lines=False,
            skipinitialspace=True,
            keep_default_na=False,
            na_values=["", "NaN", "nan", "NAN"],
            quoting=csv.QUOTE_NONE,
            index_col=False,
            float_precision="round_trip",
        )
    except ValueError as error:  # pandas' ParserError and EmptyDataError, and text that is not UTF-8
        raise DataError(f"{table_format.describe_fault(file, content, str(error))} {advice}") from error
    numbers = table.drop(columns=[*text], errors="ignore").to_numpy()
    is_valid = table.shape[1] == columns and not np.isinf(numbers).any()
    if not is_valid or (table_format.has_short_lines(content) if missing else np.isnan(numbers).any()):
        raise DataError(f"{table_format.describe_fault(file, content)} {advice}")
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

    def has_short_lines(self, content: bytes) -> bool:
        """Returns whether a line lacks cells, which pandas reads as missing values."""
        lines = io.TextIOWrapper(io.BytesIO(content), "utf-8-sig")
        return any(len(self.split(line)) != self.columns for line in islice(lines, self.skip, None))

    def describe_fault(self, file: Path, content: bytes, reason: str = "") -> str:
        """Reads a table line by line, slowly, and describes the first fault."""
        lines = content.decode("utf-8-sig", errors="replace").splitlines()
        if len(lines) <= self.skip:
            found = "no rows" if lines else "an empty file"
            return f"{file}: expected a table of {self.columns} columns, found {found}."
        for number, line in enumerate(lines[self.skip :], start=self.skip + 1):
            cells = self.split(line)
            if len(cells) != self.columns:
                return f"{file}, line {number}: expected {self.columns} values, found {len(cells)}."
            for column, cell in enumerate(cells):
                value = parse_number(cell) if cell.isascii() else None
                is_missing = value is not None and np.isnan(value)
                if column not in self.text and (value is None or np.isinf(value) or (is_missing and not self.missing)):
                    found = repr(cell.strip()[:SHOWN])
                    return f"{file}, line {number}, column {column + 1}: expected a finite number, found {found}."
        return f"{file}: not a table of {self.columns} columns ({' '.join(reason.split())})."
