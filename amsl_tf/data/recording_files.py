"""Files of recordings: CSV, Parquet and NumPy, read part by part in constant memory."""

import glob
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from amsl_tf.data.array_files import ArrayFile
from amsl_tf.data.files import check_local, natural_key
from amsl_tf.data.formats import FORMATS, E, Entry, check_input, file_format, input_path
from amsl_tf.data.frames import FrameConverter
from amsl_tf.data.reading import Reading
from amsl_tf.data.rows import Rows
from amsl_tf.data.source import Source
from amsl_tf.data.tables import CSVTable, ParquetTable
from amsl_tf.errors import DataError

ADVICE = f"Name files that end in {', '.join(FORMATS)}, or folders of them."


class RecordingFile:
    """A file, or a folder of Parquet files, with one recording; made by `open_recording`.

    Attributes:
        name: The path.
        channel_names: The names of the C channels; `channel 0`, ... if the file has none.
        window_steps: T if the file is an array of windows (N, T, C), whose rows are then below each other.
    """

    def __init__(self, files: Sequence[Path], source: Source, state: list[tuple[int, int]]) -> None:
        self.name = source.name
        self.channel_names = source.channel_names
        self.window_steps = source.window_steps
        self._files, self._source, self._state = files, source, state

    @property
    def time_zone(self) -> str | None:
        """The time zone or the offset of the times, such as `UTC`; None if the file names none."""
        return self._source.time_zone

    @property
    def time_name(self) -> str | None:
        """The column of times, "index" for an index without a name; None for a recording without times."""
        return self._source.time_name

    def parts(self) -> Iterator[Rows]:
        """Reads the file from its beginning, at most `ROWS` rows (or one window) at a time.

        Raises:
            DataError: The file is damaged, holds values that are not numbers, times or labels, or has changed since it was
                opened.
        """
        try:
            yield from self._source.parts()
        except DataError as error:
            self._check_unchanged(error)
            raise
        self._check_unchanged()

    def _check_unchanged(self, cause: DataError | None = None) -> None:
        found = file_states(self._files)
        if found != self._state:
            has_grown = sum(size for size, _ in found) > sum(size for size, _ in self._state)
            change = "has grown" if has_grown else "has changed"
            raise DataError(f"{self.name}: {change} while it was read. Wait until it is complete, or copy it.") from cause


def open_recording(file: str | Path, reading: Reading | None = None, names: Sequence[str] = ()) -> RecordingFile:
    """Opens a recording, and reads its first rows to find the channels and the format of the times.

    Args:
        file: A file with one of the endings `FORMATS`, or a folder of Parquet files (see `is_table`), which are one recording
            in natural order. An .npz file holds one array, or `x` and, if known, `time`, `label` and `channel_names`; it is
            loaded into memory.
        reading: How to read tables; the defaults of `Reading` if None.
        names: The names of the channels, if known. Other columns are ignored, which is logged.

    Raises:
        DataError: The file is missing or broken, has no rows or other channels, or times without a clear format.
        AMSLError: Parquet needs a package that is not installed.

    Example:
        >>> recording = open_recording("pump.csv", Reading(label="anomaly"))
        >>> for rows in recording.parts():
        ...     print(rows.time[0], rows.x.mean(axis=0))
    """
    file = input_path(file)
    reading = reading or Reading()
    suffix, files = (".parquet", list_parts(file)) if is_table(file) else (file_format(file), [file])
    if not files:
        raise DataError(f"{file}: expected Parquet files in the folder, found none. Write it again.")
    for part in files:
        check_input(part, reading.encoding)
    state = file_states(files)
    source: Source
    if suffix in (".npy", ".npz"):
        source = ArrayFile(file, reading, names)
    elif suffix == ".parquet":
        source = _Table(file, ParquetTable(files), reading, names)
    else:
        table = CSVTable(file, reading, names)
        source = _Table(file, table, reading, names, is_named=reading.header, decimal=table.decimal)
    return RecordingFile(files, source, state)


def find_files(paths: Iterable[str | Path]) -> list[Path]:
    """Finds the files of recordings.

    Args:
        paths: Files, folders, and patterns such as `data/*.csv`. A folder stands for all recordings below it, in natural order;
            names that begin with a point or an underscore, and links to folders, are skipped. A folder of Parquet files (see
            `is_table`) is one recording.

    Returns:
        The files and folders of Parquet files, each once, in the order of the paths.

    Raises:
        DataError: Something is not found, or a folder or pattern has no recordings.
        AMSLError: A path is a URL.
    """
    found: dict[Path, Path] = {}
    for given in paths:
        path = check_local(given)
        if "*" in str(path) and not path.exists():
            matches = sorted(map(Path, glob.glob(str(path), recursive=True)), key=lambda match: natural_key(str(match)))
        else:
            matches = [path]
        files = [file for match in matches for file in _expand(match)]
        if not files:
            raise DataError(f"{path}: expected recordings that end in {', '.join(FORMATS)}, found none. Name another path.")
        for file in files:
            found.setdefault(file.resolve(), file)
    if not found:
        raise DataError(f"expected recordings, found none. {ADVICE}")
    return list(found.values())


def _expand(path: Path) -> list[Path]:
    """Returns the recordings of a path that must exist."""
    if not path.exists():
        raise DataError(f"{path}: not found. {ADVICE}")
    return list_recordings(path)


def is_table(path: Entry) -> bool:
    """Returns whether a path is a folder of Parquet files that are one recording.

    Its name ends in .parquet, or it is a partition of a Hive table, KEY=VALUE, with Parquet files in it; a partition with
    nothing but further partitions holds several recordings.
    """
    if file_format(path) == ".parquet":
        return path.is_dir()
    return path.name.find("=") > 0 and path.is_dir() and any(map(_is_part, list_folder(path)))


def list_parts(recording: E) -> list[E]:
    """Lists the files of a recording: the file itself, or the Parquet files below a folder, in natural order."""
    return _list_below(recording, _is_part) if recording.is_dir() else [recording]


def list_recordings(path: E) -> list[E]:
    """Lists the recordings below a folder in natural order; a file, and a folder that is a recording, stand for themselves."""
    return _list_below(path, _is_recording) if path.is_dir() and not is_table(path) else [path]


def list_folder(folder: E) -> list[E]:
    """Lists a folder in natural order, without names that begin with a point or an underscore."""
    try:
        entries = [entry for entry in folder.iterdir() if not entry.name.startswith((".", "_"))]
    except OSError as error:
        raise DataError(f"{folder}: cannot be read ({error.strerror}). {ADVICE}") from error
    return sorted(entries, key=lambda entry: natural_key(entry.name))


def _is_part(path: Entry) -> bool:
    return file_format(path) == ".parquet" and not path.is_dir()


def _is_recording(path: Entry) -> bool:
    return is_table(path) if path.is_dir() else bool(file_format(path))


def _list_below(folder: E, accepts: Callable[[Entry], bool]) -> list[E]:
    """Lists the entries below a folder that are accepted, in natural order, and none below these."""
    found: list[E] = []
    for entry in list_folder(folder):
        if accepts(entry):
            found.append(entry)
        elif entry.is_dir() and not entry.is_symlink():  # a link may lead in a circle
            found += _list_below(entry, accepts)
    return found


def file_states(files: Iterable[Path]) -> list[tuple[int, int]]:
    """Returns the size and the time of the last change of each file; -1 for those that are gone."""
    states = []
    for file in files:
        try:
            found = file.stat()
            states.append((found.st_size, found.st_mtime_ns))
        except OSError:
            states.append((-1, -1))
    return states


class _Table:
    window_steps: int | None = None

    def __init__(
        self, file: Path, table: CSVTable | ParquetTable, reading: Reading, names: Sequence[str], **layout: Any
    ) -> None:
        self.name, self._table = str(file), table
        first = next(table.parts(), pd.DataFrame())
        self._converter = FrameConverter(first, reading, names, self.name, **layout)
        self.channel_names = self._converter.channel_names

    @property
    def time_zone(self) -> str | None:
        return self._converter.time_zone

    @property
    def time_name(self) -> str | None:
        return self._converter.time_name

    def parts(self) -> Iterator[Rows]:
        start = 0
        for table in self._table.parts():
            yield self._converter.convert(table, start)
            start += len(table)
