"""Recordings in files on this machine and at URLs, which any process of a cluster can read."""

import re
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from amsl_tf.data.formats import FORMATS
from amsl_tf.data.recording_files import ADVICE, file_states, find_files, list_folder, list_parts, list_recordings
from amsl_tf.data.urls import arrow_errors, is_url, open_file_system, plain_url, remove_file_scheme
from amsl_tf.errors import DataError


@dataclass(frozen=True)
class Location:
    """A recording that any process of a cluster can read: a file, or a folder of Parquet files.

    Attributes:
        name: The path as it was given, or the URL without its options and credentials.
        size: The number of bytes; negative for a file of this machine that is gone.
        changed: The time of the last change in ns since 1970; 0 if it is not known.
        source: The absolute path or the complete URL.
    """

    name: str
    size: int
    changed: int
    source: str = field(repr=False)  # may hold credentials


def find_locations(paths: Iterable[str | Path]) -> list[Location]:
    """Finds recordings on this machine and at URLs.

    Args:
        paths: Paths and patterns as of `find_files`, and URLs of any file system of pyarrow, for which the same rules hold; `*`
            may be in the last part of a URL. Options follow in the query, as in `s3://bucket/data?region=eu-west-1`; a `?`,
            `*` or `%` in a name is written `%3F`, `%2A`, `%25`. `file:///data` is the path `/data`.

    Returns:
        The recordings, each once, in the order of the paths.

    Raises:
        DataError: Something is not found, or has no recordings.
        AMSLError: There is no connection or access, or URLs need a package that is not installed.
    """
    found: dict[str, Location] = {}
    for given in paths:
        path = remove_file_scheme(given)
        if is_url(path):
            for location in _find_at_url(str(path)):
                found.setdefault(location.source, location)
        else:
            for file in find_files([path]):
                found.setdefault(str(file.resolve()), _describe_path(file))
    if not found:
        raise DataError(f"expected recordings, found none. {ADVICE}")
    return list(found.values())


@contextmanager
def local_copy(location: Location) -> Iterator[Path]:
    """Yields the path of a recording on this machine; what is at a URL is copied to a temporary folder, and removed at the end.

    Raises:
        DataError: The recording is not found, or has changed since it was found.
        AMSLError: There is no connection or access, or no space for the copy.
    """
    if not is_url(location.source):
        path = Path(location.source)
        _check_unchanged(location, _describe_path(path))
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="amsl_tf-") as folder:
        yield _download(location, Path(folder))


class _Item:
    """A file or folder at a URL, with the methods of a path that `Entry` names.

    Args:
        info: Its `FileInfo` of pyarrow.
        below: What is in each folder below it, by the path of the folder.
    """

    def __init__(self, info: Any, below: Mapping[str, Sequence[Any]]) -> None:
        self.path: str = info.path
        self.name: str = info.base_name
        self.size, self.changed = info.size or 0, info.mtime_ns or 0
        self._is_dir, self._below = info.type.name == "Directory", below

    def is_dir(self) -> bool:
        return self._is_dir

    def is_symlink(self) -> bool:
        return False

    def iterdir(self) -> Iterator["_Item"]:
        return (_Item(info, self._below) for info in self._below.get(self.path, ()))


def _find_at_url(url: str) -> list[Location]:
    """Finds the recordings at a URL, which may end in a pattern."""
    head, mark, query = url.partition("?")
    folder, _, pattern = head.rpartition("/")
    if "*" in folder:
        raise DataError(f"{plain_url(url)}: expected * in the last part of a URL only. Name the folder.")
    if "*" in pattern:
        url = f"{folder}{mark}{query}"
        root = _look_up(url, recursive=False)[1]
        matches = [entry for entry in list_folder(root) if fnmatchcase(entry.name, unquote(pattern))]
        matches = [_look_up(_url_of(url, root, match))[1] if match.is_dir() else match for match in matches]
    else:
        root = _look_up(url)[1]
        matches = [root]
    items = [item for match in matches for item in list_recordings(match)]
    if not items:
        found = f"expected recordings that end in {', '.join(FORMATS)}, found none. Name another URL."
        raise DataError(f"{plain_url(f'{head}{mark}{query}')}: {found}")
    return [_describe_item(_url_of(url, root, item), item) for item in items]


def _look_up(url: str, recursive: bool = True) -> tuple[Any, _Item]:
    """Returns the file system of a URL, and what is there, with the entries of a folder."""
    file_system, path = open_file_system(url)
    from pyarrow.fs import FileSelector

    below = defaultdict(list)
    with arrow_errors(url, "read"):
        info = file_system.get_file_info(path)
        if info.type.name == "Directory":
            for entry in file_system.get_file_info(FileSelector(path, recursive=recursive)):
                below[entry.path.rpartition("/")[0]].append(entry)
    if info.type.name == "NotFound":
        raise DataError(f"{plain_url(url)}: not found. {ADVICE}")
    return file_system, _Item(info, below)


def _download(location: Location, folder: Path) -> Path:
    """Copies a recording from a URL to a folder. Returns the path of the copy."""
    file_system, root = _look_up(location.source)
    _check_unchanged(location, _describe_item(location.source, root))
    from pyarrow.fs import LocalFileSystem, copy_files

    copy = folder / root.name
    with arrow_errors(location.source, "copied"):
        for part in list_parts(root):
            target = Path(f"{copy}{part.path[len(root.path) :]}")
            target.parent.mkdir(parents=True, exist_ok=True)
            copy_files(part.path, str(target), source_filesystem=file_system, destination_filesystem=LocalFileSystem())
    _check_unchanged(location, _describe_item(location.source, _look_up(location.source)[1]))  # may have changed meanwhile
    return copy


def _describe_path(file: Path) -> Location:
    states = file_states(list_parts(file))
    return Location(
        str(file), sum(size for size, _ in states), max((time for _, time in states), default=0), str(file.absolute())
    )


def _describe_item(url: str, item: _Item) -> Location:
    parts = list_parts(item)
    changed = max((part.changed for part in parts), default=0)
    return Location(plain_url(url), sum(part.size for part in parts), changed, url)


def _check_unchanged(location: Location, found: Location) -> None:
    if (found.size, found.changed) != (location.size, location.changed):
        change = f"{location.size:,} bytes then, {found.size:,} now" if found.size != location.size else "its time of change"
        fault = "is gone" if found.size < 0 else f"has changed since it was found ({change})"
        raise DataError(f"{location.name}: {fault}. Wait until it is complete, and start again.")


def _url_of(url: str, root: _Item, item: _Item) -> str:
    """Returns the complete URL of what is below the folder `root` at a URL."""
    head, mark, query = url.partition("?")
    below = re.sub(r"[%?*]", lambda match: quote(match[0]), item.path[len(root.path) :])
    return f"{head.rstrip('/')}{below}{mark}{query}"
