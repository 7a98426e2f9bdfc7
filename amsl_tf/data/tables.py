"""Reads CSV and Parquet tables part by part, as pandas DataFrames."""

import logging
import warnings
from collections.abc import Collection, Iterator
from pathlib import Path

import pandas as pd

from amsl_tf.data.conversion import parse_number
from amsl_tf.data.csv_text import CSVText
from amsl_tf.data.formats import import_parquet
from amsl_tf.data.notes import note
from amsl_tf.data.reading import DELIMITERS, Reading
from amsl_tf.errors import DataError

ROWS = 16_384  # rows in memory at a time
MISSING = "-"  # a missing value, besides the empty cells, NaN, NA, null and others that pandas knows


class CSVTable:
    """A CSV file, also compressed.

    The delimiter and the decimal separator are found in the first lines if the user does not name them; an info is logged if
    they are not commas and points. Missing values are empty cells, blank lines, `-`, and the words that pandas knows, such as
    NaN, NA and null, and those that `reading` names. Blank lines at the end of the file are omitted.

    Args:
        file: The file.
        reading: How the user wants it to be read.
        names: The names of the channels, if known: a first line with all of them is a header, even if they are numbers.

    Attributes:
        decimal: The decimal separator.

    Raises:
        DataError: On opening or while reading: the file cannot be read, or is not a table.
    """

    def __init__(self, file: Path, reading: Reading, names: Collection[str]) -> None:
        self._file, self._reading = file, reading
        self._is_end_checked = False
        with CSVText(file, reading.encoding) as text:
            self._delimiter, self.decimal = text.dialect(reading.delimiter, reading.decimal)
            blank, cells = text.header(self._delimiter)
        if not cells:
            raise DataError(f"{file}: expected a table, found blank lines only. Write it again.")
        if (self._delimiter, self.decimal) != (reading.delimiter or ",", reading.decimal or "."):
            commas = ", numbers have decimal commas" if self.decimal == "," else ""
            note(str(file), f"cells are separated by {DELIMITERS.get(self._delimiter, repr(self._delimiter))}{commas}")
        selected = set(reading.columns or names)
        if reading.header and not (selected and selected <= set(cells)):
            self._check_header(cells)
        self._names = [name.strip() for name in cells] if reading.header else [f"channel {i}" for i in range(len(cells))]
        self._skipped = blank + 1 if reading.header else 0

    def parts(self) -> Iterator[pd.DataFrame]:
        """Yields the rows of the table, at most `ROWS` at a time."""
        with CSVText(self._file, self._reading.encoding) as text:
            yield from self._read(text)

    def _read(self, text: CSVText) -> Iterator[pd.DataFrame]:
        width = len(self._names)
        try:
            tables = pd.read_csv(
                text,
                sep=r"\s+" if self._delimiter == " " else self._delimiter,
                decimal=self.decimal,
                header=None,
                names=range(width + 1),  # one more, since pandas ignores a cell too many in the first row of a part
                skiprows=self._skipped,
                na_values=[MISSING, *self._reading.na],
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
                    self._check_end(text)
                    return
                if table[width].notna().any():
                    raise pd.errors.ParserError("rows with too many cells")
                yield table.iloc[:, :width].set_axis(self._names, axis="columns")
        except DataError:
            raise
        except (ValueError, pd.errors.ParserWarning) as error:  # pandas' ParserError
            line, found = text.long_line(width, self._delimiter)
            fault = f"line {line} has {found:,} cells, the first line {width:,}" if line else " ".join(str(error).split())
            shown = DELIMITERS.get(self._delimiter, repr(self._delimiter))
            advice = (
                f"Correct it, or name another --delimiter than {shown}; numbers need decimal {_decimal_name(self.decimal)}."
            )
            raise DataError(f"{self._file}: not a complete table ({fault}). {advice}") from error

    def _check_end(self, text: CSVText) -> None:
        """Logs once if the last line has no line end, and fewer cells than the others."""
        line, found = text.cut_line(len(self._names), self._delimiter)
        if line and not self._is_end_checked:
            fault = f"line {line:,}, the last one, has {found} of {len(self._names)} cells and no line end"
            note(str(self._file), f"{fault}: the file may be cut off.", logging.WARNING)
        self._is_end_checked = True

    def _check_header(self, cells: list[str]) -> None:
        """Raises DataError if the first line looks like data; 0, 1, 2, ... are names that pandas writes."""
        if len(cells) > 1 and cells == [str(position) for position in range(len(cells))]:
            first = ", ".join(cells[:3])
            text = f"the first line, {first} ..., is used as column names. Use --no-header if it is data."
            note(str(self._file), text, logging.WARNING)
        elif all(parse_number(cell.replace(self.decimal, ".")) is not None for cell in cells):
            raise DataError(
                f"{self._file}: the first line holds only numbers. Use --no-header if it is data; if it names the columns, "
                "name the channels with --columns."
            )


def _decimal_name(decimal: str) -> str:
    return "commas" if decimal == "," else "points"


class ParquetTable:
    """One or more Parquet files with the same columns, whose rows follow each other.

    Args:
        files: The files, in order.

    Raises:
        DataError: While reading: a file is damaged.
        AMSLError: Parquet needs a package that is not installed.
    """

    def __init__(self, files: Collection[Path]) -> None:
        self._files = files

    def parts(self) -> Iterator[pd.DataFrame]:
        """Yields the rows of the table, at most `ROWS` at a time; columns have names of type str."""
        parquet = import_parquet()
        from pyarrow import ArrowException

        for file in self._files:
            try:
                with parquet.ParquetFile(file) as opened:
                    for batch in opened.iter_batches(ROWS):
                        table = batch.to_pandas()
                        yield table.set_axis(table.columns.map(str), axis="columns")
            except DataError:
                raise
            except (ArrowException, ValueError, OSError, LookupError, TypeError) as error:  # its metadata may be damaged
                fault = " ".join(str(error).split())
                raise DataError(f"{file}: not a complete Parquet table ({fault}). Write it again.") from error
