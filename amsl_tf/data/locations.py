"""Files of recordings on this machine and at URLs, such as those of S3, for reading and writing by any process of a cluster."""

import os
import re
import secrets
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from textwrap import shorten
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from amsl_tf.data.files import atomic_file
from amsl_tf.data.formats import FORMATS
from amsl_tf.data.recording_files import ADVICE, file_states, find_files, list_folder, list_parts, list_recordings
from amsl_tf.errors import AMSLError, DataError, StorageError

CONNECT_TIMEOUT, REQUEST_TIMEOUT = 5, 10  # seconds, in each of three attempts at a request to S3
GCS_RETRIES = 30  # seconds in which a request to Google Cloud Storage is repeated
SCHEMES = "s3://, gs://, hdfs:// or file://"
OBJECT_STORES = ("s3", "gcs", "abfs")  # by their names in pyarrow: a file is visible only when it is complete
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_CAUSES = {  # what the libraries of the file systems report, the fault, and the advice
    r"NETWORK_CONNECTION|CURL error|timed out": ("no connection", "Check the network, the host and the endpoint."),
    r"ACCESS_DENIED|ACCESS_KEY|SIGNATURE|TOKEN|UNAUTHENTICATED|PERMISSION_DENIED|Authentication|access token": (
        "no access",
        "Check the credentials, such as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
    ),
}


@dataclass(frozen=True)
class Location:
    """A recording that any process of a cluster can read: a file, or a folder of Parquet files.

    Attributes:
        name: The path as it was given, or the URL without its options and credentials.
        size: The number of bytes; -1 for a file of this machine that cannot be read.
        changed: The time of the last change in ns since 1970; 0 if the file system does not tell it.
        source: The absolute path or the complete URL.
    """

    name: str
    size: int
    changed: int
    source: str = field(repr=False)  # may hold credentials


def is_url(path: str | Path) -> bool:
    """Returns whether a path is a URL, such as s3://bucket/recordings."""
    return _URL.match(str(path)) is not None


def remove_file_scheme(path: str | Path) -> str | Path:
    """Converts a file:// URL to a path of this machine. Returns anything else as it is."""
    if not str(path).lower().startswith("file://"):
        return path
    parts = urlsplit(str(path), allow_fragments=False)
    if parts.netloc not in ("", "localhost") or not parts.path or parts.query:
        raise DataError(f"{path}: expected an absolute path, as in file:///data. Write file:// and the path.")
    return unquote(parts.path)


def plain_url(url: str) -> str:
    """Returns a URL without its options and credentials, KEY:SECRET."""
    return re.sub(r"(?<=://)[^/@]*:[^/]*@", "", url.partition("?")[0])


def find_locations(paths: Iterable[str | Path]) -> list[Location]:
    """Finds recordings on this machine and at URLs.

    Args:
        paths: Paths and patterns as of `find_files`, and URLs of any file system of pyarrow, for which the same rules hold; `*`
            may be in the last part of a URL. Options follow in the query, as in `s3://bucket/data?region=eu-west-1`; a `?`,
            `*` or `%` in a name is written `%3F`, `%2A`, `%25`. `file:///data` is the path `/data`.

    Returns:
        The recordings, each once, in the order of the paths.

    Raises:
        DataError: Something is not found, cannot be read, or has no recordings.
        AMSLError: URLs need a package that is not installed.
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
        DataError: The recording is not found, cannot be read, or has changed since it was found.
    """
    if not is_url(location.source):
        path = Path(location.source)
        _check_unchanged(location, _describe_path(path))
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="amsl_tf-") as folder:
        yield _download(location, Path(folder))


def upload(file: Path, url: str) -> None:
    """Copies a finished file, which must fit in memory, to a URL; readers see all of it or nothing.

    Raises:
        StorageError: It cannot be written.
        AMSLError: URLs need a package that is not installed.
    """
    local = remove_file_scheme(url)
    if not is_url(local):
        with atomic_file(Path(local)) as temporary:
            shutil.copyfile(file, temporary)
        return
    content = file.read_bytes()  # an object that is opened would be completed even if reading failed
    file_system, path = _connect(url)
    with _arrow_errors(url, "written", StorageError):
        if file_system.type_name in OBJECT_STORES:
            _write(file_system, path, content)
            return
        folder, _, name = path.rpartition("/")
        temporary_path = f"{folder}/.{name}.{secrets.token_hex(4)}.tmp"
        file_system.create_dir(folder)
        try:
            _write(file_system, temporary_path, content)
            file_system.move(temporary_path, path)
        except BaseException:
            with suppress(OSError):
                file_system.delete_file(temporary_path)
            raise


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
    file_system, path = _connect(url)
    from pyarrow.fs import FileSelector

    below = defaultdict(list)
    with _arrow_errors(url, "read", DataError):
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
    with _arrow_errors(location.source, "copied", DataError):
        for part in list_parts(root):
            target = Path(f"{copy}{part.path[len(root.path) :]}")
            target.parent.mkdir(parents=True, exist_ok=True)
            copy_files(part.path, str(target), source_filesystem=file_system, destination_filesystem=LocalFileSystem())
    _check_unchanged(location, _describe_item(location.source, _look_up(location.source)[1]))  # may have changed meanwhile
    return copy


def _write(file_system: Any, path: str, content: bytes) -> None:
    with file_system.open_output_stream(path) as opened:
        opened.write(content)


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
        sizes = f"{location.size:,} bytes then, {found.size:,} now"
        raise DataError(
            f"{location.name}: has changed since it was found ({sizes}). Wait until it is complete, and start again."
        )


def _url_of(url: str, root: _Item, item: _Item) -> str:
    """Returns the complete URL of what is below the folder `root` at a URL."""
    head, mark, query = url.partition("?")
    below = re.sub(r"[%?*]", lambda match: quote(match[0]), item.path[len(root.path) :])
    return f"{head.rstrip('/')}{below}{mark}{query}"


def _connect(url: str) -> tuple[Any, str]:
    """Returns the file system of a URL, and the path in it."""
    try:
        from pyarrow.fs import FileSystem
    except ImportError as error:
        raise AMSLError(f"URLs need pyarrow ({error}). Run pip install 'amsl_tf[parquet]'.") from error
    parts = urlsplit(url, allow_fragments=False)
    with _arrow_errors(url, "opened", DataError, f"Name a URL that begins with {SCHEMES}, with options that pyarrow knows."):
        if parts.scheme == "s3":
            credentials, _, bucket = parts.netloc.rpartition("@")
            if not bucket:
                raise ValueError("it names no bucket")
            endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
            return _connect_s3(bucket, credentials, parts.query, endpoint), f"{bucket}{unquote(parts.path)}".rstrip("/")
        if parts.scheme in ("gs", "gcs") and "retry_limit_seconds" not in parts.query:  # 15 minutes by default
            url += f"{'&' if parts.query else '?'}retry_limit_seconds={GCS_RETRIES}"
        return FileSystem.from_uri(quote(url, safe="%/:?#@!$&'()*+,;=~"))


@lru_cache(maxsize=16)  # the region of a bucket is a request
def _connect_s3(bucket: str, credentials: str, query: str, endpoint: str | None) -> Any:
    """Connects to S3 with limits of time, which `FileSystem.from_uri` cannot set.

    Args:
        bucket: The bucket.
        credentials: KEY:SECRET, or "" for those of the environment.
        query: Arguments of `S3FileSystem`.
        endpoint: The server, if the query names none; that of AWS if None.
    """
    from pyarrow.fs import S3FileSystem, resolve_s3_region

    options: dict[str, Any] = {"connect_timeout": CONNECT_TIMEOUT, "request_timeout": REQUEST_TIMEOUT}
    if endpoint:
        options["endpoint_override"] = endpoint
    if credentials:
        options["access_key"], options["secret_key"] = map(unquote, credentials.split(":", 1))
    flags = {"true": True, "false": False}
    options |= {key: flags.get(value, value) for key, value in parse_qsl(query, strict_parsing=bool(query))}
    if not {"region", "endpoint_override"} & options.keys():
        options["region"] = resolve_s3_region(bucket)
    return S3FileSystem(**options)


@contextmanager
def _arrow_errors(
    url: str, action: str, error_type: type[AMSLError], advice: str = "Check the URL and the file system."
) -> Iterator[None]:
    """Converts the errors of pyarrow in the block to errors of one line that name the URL."""
    from pyarrow import ArrowException

    try:
        yield
    except AMSLError:
        raise
    except (ArrowException, ImportError, OSError, TypeError, ValueError) as error:
        name, fault = plain_url(url), f"cannot be {action}"
        reason = shorten(str(error).replace(url, name).rstrip(". \n"), 300, placeholder=" ...")
        for pattern, (cause, remedy) in _CAUSES.items():
            if re.search(pattern, str(error)):
                fault, advice = cause, remedy
                break
        raise error_type(f"{name}: {fault} ({reason}). {advice}") from error
