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
from amsl_tf.data.reading import DELIMITERS, UTF_8
from amsl_tf.errors import DataError

SAMPLE = 1_000  # lines from which the delimiter is found
LONGEST_LINE = 2**24  # characters; longer lines are not those of a table
_MODULES = {".csv": "io", ".csv.gz": "gzip", ".csv.bz2": "bz2", ".csv.xz": "lzma"}  # each has a function `open`
_NUMBER = re.compile(r"\s*[-+]?(\d+([.,]\d+)?|[.,]\d+)(e[-+]?\d+)?\s*", re.IGNORECASE)  # with a decimal point or comma
_TIME = re.compile(r"\s*(\d+([-/.])\w+\2\d+([T ][\d:.]+)?|\d+(:\d\d)+[\d.]*)\s*([AP]M|Z|UTC|[+-]\d\d:?\d\d)?\s*", re.IGNORECASE)


class CSVText(io.TextIOBase):
    """The text of a CSV file, decompressed, without the blank lines at its end; a file for pandas and a context manager.

    pandas alone either skips all blank lines, which shifts the rows after them, or reads those at the end as rows.

    Args:
        file: A file with one of the formats of a CSV (see `file_format`).
        encoding: Its encoding; UTF-8 may begin with a byte order mark.

    Raises:
        DataError: On opening or while reading: the file cannot be read, is damaged, or is not text in this encoding.
    """

    def __init__(self, file: Path, encoding: str = UTF_8) -> None:
        self._file, self._encoding = file, encoding
        self._line_ends = 0  # those read but not yet returned
        self._last, self._lines_read = "", 0  # the last line without a line end, and the lines before it
        encoding = "utf-8-sig" if encoding == UTF_8 else encoding
        with self._errors():
            self._text = import_module(_MODULES[file_format(file)]).open(file, "rt", encoding=encoding)

    def close(self) -> None:
        self._text.close()
        super().close()

    def read(self, size: int | None = -1) -> str:
        while part := self._checked(self._text.read, size):
            *before, last = part.rsplit("\n", 1)
            self._last = last if before else self._last + last
            self._lines_read += part.count("\n")
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
        self._line_ends = self._lines_read = 0
        self._last = ""

    def dialect(self, delimiter: str = "", decimal: str = "") -> tuple[str, str]:
        """Finds the delimiter and the decimal separator in the first lines.

        Args:
            delimiter, decimal: Those that are known; "" for those to find.

        Returns:
            The delimiter, one of `DELIMITERS` if it was not known (" " for any number of spaces), and the decimal separator.
        """
        lines = list(islice(filter(str.strip, self._lines()), SAMPLE))
        found = {}
        for candidate in [delimiter] if delimiter else DELIMITERS:
            first, *others = [cells for _, cells in self._records(lines, candidate)] or [[]]
            width = len(first)
            whole = [cells[:width] for cells in others or [first] if len(cells) >= width and not any(cells[width:])]
            if width > 1 and 2 * len(whole) >= len(others) and (others or candidate != " " or _is_usual(first[-1])):
                usable = sum(_is_usual(cell) for cells in whole for cell in cells)
                found[candidate] = usable / (sum(map(len, others)) or width)
        name = "".join(lines[:1])
        absent = next((mark for mark in ";\t|" if mark not in name), ",")  # for one column
        if not delimiter and _is_column_of_decimal_commas(lines, decimal):
            return absent, ","
        default = absent if "," in name and len(lines) > 1 and not any("," in line for line in lines[1:]) else ","
        delimiter = delimiter or max(found, key=lambda name: found[name], default=default)
        if decimal or delimiter == ",":
            return delimiter, decimal or "."
        cells = [cell for _, cells in self._records(lines, delimiter) for cell in cells if _NUMBER.fullmatch(cell)]
        commas, points = (sum(mark in cell for cell in cells) for mark in ",.")
        return delimiter, "," if commas > points else "."

    def header(self, delimiter: str) -> tuple[int, list[str]]:
        """Reads the first line that is not blank.

        Returns:
            The number of blank lines before it, and its cells; no cells if there is no such line.
        """
        lines = self._lines()
        for blank, line in enumerate(lines):
            if line.strip():
                return blank, next(self._records(chain([line], lines), delimiter))[1]
        return 0, []

    def long_line(self, width: int, delimiter: str) -> tuple[int, int]:
        """Finds the first line with too many cells; an empty one at the end of a line is not one too many.

        Args:
            width: The number of columns.
            delimiter: The delimiter of the cells.

        Returns:
            The line, counted from 1, and the number of its cells; (0, 0) if there is no such line.
        """
        for line, cells in self._records(self._lines(), delimiter):
            if len(cells) > width + 1 or any(cells[width:]):
                return line, len(cells)
        return 0, 0

    def cut_line(self, width: int, delimiter: str) -> tuple[int, int]:
        """Finds out whether the file, which has been read, ends within a line: without a line end, and with too few cells.

        Args:
            width: The number of columns.
            delimiter: The delimiter of the cells.

        Returns:
            The line, counted from 1, and the number of its cells; (0, 0) if the file does not end so.
        """
        if not self._last.strip() or '"' in self._last:  # a quoted cell may have begun in a line before
            return 0, 0
        ((_, cells),) = self._records([self._last], delimiter)
        return (self._lines_read + 1, len(cells)) if len(cells) < width else (0, 0)

    def _lines(self) -> Iterator[str]:
        self.rewind()
        return iter(lambda: self._checked(self._text.readline, LONGEST_LINE), "")

    def _records(self, lines: Iterable[str], delimiter: str) -> Iterator[tuple[int, list[str]]]:
        """Parses lines: the number of the last line of each record, counted from 1, and its cells."""
        if delimiter == " ":
            yield from ((number, line.split()) for number, line in enumerate(lines, start=1))
            return
        reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True)
        try:
            for cells in reader:
                yield reader.line_num, cells
        except csv.Error as error:
            raise DataError(f"{self._file}: not a table ({error}). Save it as CSV again.") from error

    def _checked(self, read: Callable[[int | None], str], size: int | None) -> str:
        with self._errors():
            part = read(size)
        if "\0" in part:  # which pandas takes for the end of a cell
            raise DataError(f"{self._file}: expected text, found NUL bytes: binary data, or text in UTF-16. Use --encoding.")
        return part

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except UnicodeError as error:
            found = f"other text ({error})"
            if isinstance(error, UnicodeDecodeError):
                found = f"the byte 0x{error.object[error.start]:02x}"
            advice = "Name its encoding with --encoding, such as cp1252"
            raise DataError(f"{self._file}: expected text in {self._encoding.upper()}, found {found}. {advice}.") from error
        except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
            fault = getattr(error, "strerror", None) or error
            raise DataError(f"{self._file}: cannot be read to its end ({fault}). Copy or compress it again.") from error


def _is_usual(cell: str) -> bool:
    """Returns whether a cell is empty, a number or a time."""
    return not cell.strip() or bool(_NUMBER.fullmatch(cell) or _TIME.fullmatch(cell))


def _is_column_of_decimal_commas(lines: list[str], decimal: str) -> bool:
    """Returns whether lines are one column of numbers with a comma, below a name without one unless commas are known."""
    name, *cells = [line.strip() for line in lines if line.strip() != '""'] or [""]
    is_first = "," not in name or (decimal == "," and _NUMBER.fullmatch(name))
    return decimal != "." and bool(is_first) and bool(cells) and all("," in cell and _NUMBER.fullmatch(cell) for cell in cells)
