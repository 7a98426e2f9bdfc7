"""The text of CSV files for pandas: decompression, encoding and blank lines; and what is wrong with a broken file."""

import csv
import io
import lzma
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from itertools import chain, islice
from pathlib import Path

from amsl_tf.data.formats import file_format
from amsl_tf.errors import DataError

LONGEST_LINE = 2**24  # characters; longer lines are not those of a table
_MODULES = {".csv": "io", ".csv.gz": "gzip", ".csv.bz2": "bz2", ".csv.xz": "lzma"}  # each has a function `open`
_NUMBER = re.compile(r"\s*[-+]?(\d+([.,]\d+)?|[.,]\d+)(e[-+]?\d+)?\s*", re.IGNORECASE)  # with a decimal point or comma


class CSVText(io.TextIOBase):
    """The text of a CSV file, decompressed, without the blank lines at its end; a file for pandas and a context manager.

    pandas alone either skips all blank lines, which shifts the rows after them, or reads those at the end as rows.

    Args:
        file: A file with one of the formats of a CSV (see `file_format`).

    Raises:
        DataError: On opening or while reading: the file cannot be read, is damaged, or is not text in UTF-8.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._line_ends = 0  # those read but not yet returned
        with self._errors():
            self._text = import_module(_MODULES[file_format(file)]).open(file, "rt", encoding="utf-8-sig")

    def close(self) -> None:
        self._text.close()
        super().close()

    def read(self, size: int | None = -1) -> str:
        while part := self._checked(self._text.read, size):
            content = part.rstrip(" \t\n")
            line_ends = part.count("\n", len(content))
            if content or not self._line_ends + line_ends:  # spaces alone may lie within a line
                blank, self._line_ends = "\n" * self._line_ends, line_ends
                return blank + (content if line_ends else part)
            self._line_ends += line_ends
        return ""

    def rewind(self) -> None:
        """Returns to the beginning of the file."""
        self._text.seek(0)
        self._line_ends = 0

    def header(self) -> tuple[int, list[str]]:
        """Reads the first line that is not blank.

        Returns:
            The number of blank lines before it, and its cells; no cells if there is no such line.
        """
        lines = self._lines()
        for blank, line in enumerate(lines):
            if line.strip():
                return blank, next(self._records(chain([line], lines)))[1]
        return 0, []

    def long_line(self, width: int) -> tuple[int, int]:
        """Finds the first line with too many cells; an empty one at the end of a line is not one too many.

        Args:
            width: The number of columns.

        Returns:
            The line, counted from 1, and the number of its cells; (0, 0) if there is no such line.
        """
        for line, cells in self._records(self._lines()):
            if len(cells) > width + 1 or any(cells[width:]):
                return line, len(cells)
        return 0, 0

    def separator(self) -> tuple[str, bool]:
        """Finds out how the first two lines are separated, if not by commas.

        Returns:
            The separator as pandas names it, "" if it may be a comma, and whether numbers have decimal commas.
        """
        lines = list(islice(filter(str.strip, self._lines()), 2))
        for separator in (";", "\t", "|", r"\s+"):
            pattern = separator if separator == r"\s+" else re.escape(separator)
            first, second = (re.split(pattern, lines[position].strip()) if lines else [] for position in (0, -1))
            numbers = [cell for cell in second if _NUMBER.fullmatch(cell)]
            enough = len(second) if separator == r"\s+" else 1  # a space may also lie within text
            if len(first) == len(second) > 1 and len(numbers) >= enough:
                return separator, any("," in number for number in numbers)
        return "", False

    def _lines(self) -> Iterator[str]:
        self.rewind()
        return iter(lambda: self._checked(self._text.readline, LONGEST_LINE), "")

    def _records(self, lines: Iterable[str]) -> Iterator[tuple[int, list[str]]]:
        """Parses lines: the number of the last line of each record, counted from 1, and its cells."""
        reader = csv.reader(lines, skipinitialspace=True)
        try:
            for cells in reader:
                yield reader.line_num, cells
        except csv.Error as error:
            raise DataError(f"{self._file}: not a table ({error}). Save it as CSV again.") from error

    def _checked(self, read: Callable[[int | None], str], size: int | None) -> str:
        with self._errors():
            part = read(size)
        if "\0" in part:  # which pandas takes for the end of a cell
            raise DataError(f"{self._file}: expected text, found NUL bytes: binary data, or text in UTF-16. Save it in UTF-8.")
        return part

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except UnicodeDecodeError as error:
            found = f"the byte 0x{error.object[error.start]:02x}"
            raise DataError(f"{self._file}: expected text in UTF-8, found {found}. Convert it with iconv.") from error
        except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
            fault = getattr(error, "strerror", None) or error
            raise DataError(f"{self._file}: cannot be read to its end ({fault}). Copy or compress it again.") from error
