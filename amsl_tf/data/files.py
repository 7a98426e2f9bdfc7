"""Atomic writes of files and folders, locks, and JSON files."""

import ctypes
import errno
import itertools
import json
import os
import re
import secrets
import shutil
import sys
import tempfile
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from amsl_tf.errors import AMSLError, DataError

LOCK = ".lock"
FORMER = "former"  # the folder that is being replaced, where two folders cannot be exchanged
MAX_JSON = 64 * 2**20  # bytes
MAX_NAME = 50  # characters of a name in that of its temporary folder
MAX_ATTEMPTS = 10  # at a temporary folder
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")  # `Path` removes one of the two slashes
_NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)  # errors of file systems without locks, as on some clusters
_RENAME_EXCHANGE, _AT_FDCWD = 2, -100  # of Linux


def check_local(path: str | Path) -> Path:
    """Converts the path of a file or folder of this machine.

    Args:
        path: The path.

    Returns:
        The path, as it was given.

    Raises:
        AMSLError: It is not a path, or a URL, which would become a folder of that name.
    """
    if not isinstance(path, str | Path) or not str(path) or "\0" in str(path):
        raise AMSLError(f"expected the path of a file or folder. Received: {path!r}.")
    try:
        str(path).encode()
    except UnicodeEncodeError as error:  # libraries of TensorFlow and Parquet take nothing else
        raise AMSLError(f"{str(path)!a}: expected a path in UTF-8. Rename it.") from error
    if _URL.match(str(path)):
        raise AMSLError(f"{path}: looks like a URL. Expected a path on this machine; copy the data there.")
    return Path(path)


def resolve(path: str | Path) -> Path:
    """Returns an absolute path without symbolic links. Raises AMSLError as `check_local` does, and for links in a circle."""
    try:
        return check_local(path).resolve()
    except (OSError, RuntimeError) as error:  # RuntimeError: a circle, before Python 3.13
        raise AMSLError(f"{path}: cannot be found ({error}). Name another place.") from error


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yields a temporary path that is renamed to `path` if the block succeeds, and removed if it fails.

    The temporary file has the name of `path`, from which some writers infer the format.

    Raises:
        AMSLError: The block or the renaming fails with an OSError, as on a full disk.
    """
    target = resolve(path)  # a link is followed, not replaced
    with temporary_folder(target) as scratch:
        yield scratch / target.name
        os.replace(scratch / target.name, target)


def check_replaceable(path: Path, entries: Collection[str]) -> None:
    """Checks that a path is free, an empty folder, or a folder with the files that this package writes and no others.

    Args:
        path: The path.
        entries: Patterns of the files, relative to the folder, as in `train/data_*.npy`; each must match one or more.

    Raises:
        AMSLError: `path` is anything else, which must not be replaced, or a folder that cannot be.
    """
    advice = "Name another folder."
    try:
        if not path.exists():
            return
        if not path.is_dir():
            raise AMSLError(f"{path}: is not a folder, so it is not replaced. {advice}")
        here = Path.cwd()
        if path.is_mount():
            raise AMSLError(f"{path}: is a mount point, which cannot be replaced. Name a folder in it.")
        items = [item for item in path.rglob("*") if item.is_symlink() or not item.is_dir() or not any(item.iterdir())]
        found = [item.relative_to(path).as_posix() for item in items]  # files and empty folders
    except OSError as error:
        raise AMSLError(f"{path}: cannot be read ({error.strerror}). {advice}") from error
    if path in (here, *here.parents):
        raise AMSLError(f"{path}: holds the current folder, so it is not replaced. {advice}")
    foreign = sorted(name for name in found if not any(fnmatchcase(name, pattern) for pattern in entries))
    missing = sorted(pattern for pattern in entries if not any(fnmatchcase(name, pattern) for name in found))
    if found and (foreign or missing):
        fault = f"contains {foreign[0]}, which amsl_tf does not write there" if foreign else f"lacks {missing[0]}"
        raise AMSLError(f"{path}: {fault}, so it is not replaced. Move what you need and remove it, or name another folder.")


@contextmanager
def atomic_folder(path: Path, entries: Collection[str]) -> Iterator[Path]:
    """Yields a temporary folder that replaces `path` if the block succeeds, and is removed if it fails.

    On Linux there is a folder of this name at any time. Elsewhere there is none for a moment, and the next call restores it if
    the process is killed in that moment.

    Args:
        path: The folder to create or replace.
        entries: Patterns of all files that the block writes, see `check_replaceable`; a folder with others is never replaced.

    Yields:
        The temporary folder.

    Raises:
        AMSLError: `path` holds anything else, or the block or the renaming fails with an OSError.
    """
    path = resolve(path)
    check_replaceable(path, entries)
    with temporary_folder(path) as scratch:
        folder = scratch / path.name
        folder.mkdir()
        yield folder
        if not (path.exists() and _exchange(folder, path)):
            if path.exists():
                path.rename(scratch / FORMER)
            folder.rename(path)


def check_writable(path: Path) -> None:
    """Checks that a file or folder can be created, by doing so with a temporary one.

    Raises:
        AMSLError: The path, or the first of its missing folders, cannot be created.
    """
    path = path.absolute()
    folder = next(parent for parent in path.parents if parent.exists())  # the others are created when they are needed
    with temporary_folder(folder / path.relative_to(folder).parts[0]):
        pass


@contextmanager
def temporary_folder(path: Path) -> Iterator[Path]:
    """Yields a folder beside `path` for what will be renamed to it; the folder is locked, and removed at the end.

    Those of processes that were killed are removed first.

    Raises:
        AMSLError: The block fails with an OSError, as on a full disk.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(path)
        with _locked_folder(path) as folder:
            try:
                yield folder
            finally:
                _restore(path, folder)
                shutil.rmtree(folder, ignore_errors=True)
    except OSError as error:
        if error.filename is not None:
            other = Path(os.fsdecode(error.filename))
            if other not in path.parents and path.parent not in other.parents:
                raise  # of another file, such as an input
        advice = "Name a place with write permission and free space."
        if error.errno == errno.ENAMETOOLONG:
            advice = "Choose a shorter name."
        raise AMSLError(f"{path}: cannot be written ({error.strerror or error}). {advice}") from error


def _temporary_name(path: Path) -> str:
    """Returns the start of the names of temporary folders for a path: its own name, cut off so that they are not too long."""
    return f".{path.name[:MAX_NAME]}."


@contextmanager
def _locked_folder(path: Path) -> Iterator[Path]:
    """Yields a locked temporary folder beside `path`."""
    for attempt in itertools.count():
        folder = path.with_name(f"{_temporary_name(path)}{secrets.token_hex(4)}.tmp")
        folder.mkdir()
        with ExitStack() as stack:
            try:
                stack.enter_context(locked(folder))
            except AMSLError:
                if attempt == MAX_ATTEMPTS:
                    raise
                continue  # taken for a leftover before it was locked
            if folder.exists():
                yield folder
                return


def _remove_leftovers(path: Path) -> None:
    """Removes the temporary folders for `path` that no process has locked."""
    name = re.compile(re.escape(_temporary_name(path)) + r"[0-9a-f]{8}\.tmp")
    for folder in path.parent.iterdir():
        if name.fullmatch(folder.name):
            with suppress(AMSLError, OSError), locked(folder) as is_locked:
                is_own = {item.name for item in folder.iterdir()} <= {LOCK, FORMER, path.name}  # long names are cut off
                if is_locked and is_own:  # without locks it may be in use
                    _restore(path, folder)
                    shutil.rmtree(folder, ignore_errors=True)


def _restore(path: Path, scratch: Path) -> None:
    """Renames the folder that was being replaced back to `path` if nothing has replaced it."""
    if (scratch / FORMER).exists() and not path.exists():
        (scratch / FORMER).rename(path)


def _exchange(first: Path, second: Path) -> bool:
    """Exchanges the names of two folders in one step. Returns whether the system can do so."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except AttributeError:  # an old C library
        return False
    return not rename(_AT_FDCWD, os.fsencode(first), _AT_FDCWD, os.fsencode(second), _RENAME_EXCHANGE)


@contextmanager
def locked(folder: Path) -> Iterator[bool]:
    """Creates a folder and locks it for this process; the lock ends with the process at the latest.

    A folder that holds nothing at the end is removed. A file system without locks, as on some clusters, is used without.

    Yields:
        Whether the folder is locked.

    Raises:
        AMSLError: Another process has locked the folder, or it cannot be created.
    """
    lock = FileLock(folder / LOCK, mode=0o666)  # for colleagues, as far as their umask allows
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout as error:
        raise AMSLError(f"{folder}: in use by another process. Wait until it has ended, or stop it.") from error
    except (NotImplementedError, OSError) as error:
        if isinstance(error, OSError) and error.errno not in _NO_LOCKS:
            raise AMSLError(f"{folder}: cannot be used ({error.strerror or error}). Name another folder.") from error
    try:
        yield lock.is_locked
    finally:
        if [item.name for item in folder.glob("*")] == [LOCK]:
            shutil.rmtree(folder, ignore_errors=True)
        lock.release()


def reserve_space(folder: Path, size: int) -> None:
    """Checks that a folder has space for a file, for writers that crash where there is none, as HDF5 does.

    Args:
        folder: The folder.
        size: The size of the file in bytes.

    Raises:
        OSError: There is not enough space, or a quota forbids it.
    """
    if hasattr(os, "posix_fallocate"):
        with tempfile.TemporaryFile(dir=folder) as file:
            os.posix_fallocate(file.fileno(), 0, size)
    elif shutil.disk_usage(folder).free < size:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def natural_key(name: str) -> list[int | str]:
    """Returns a key that sorts names with numbers by these: s2 before s10."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name)]


def write_json(path: Path, values: Any) -> None:
    """Writes a JSON file atomically."""
    with atomic_file(path) as temporary:
        temporary.write_text(json.dumps(values, indent=2) + "\n")


def check_regular(path: Path, advice: str) -> None:
    """Raises DataError if a file is missing, cannot be read or is not a regular file: reading a pipe may never end."""
    try:
        if not path.exists():
            raise DataError(f"{path}: not found. {advice}")
        if not path.is_file():
            raise DataError(f"{path}: expected a regular file, found a folder, a pipe or a device. {advice}")
        with path.open("rb"):
            pass
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}). {advice}") from error


def read_json(path: Path, advice: str, keys: Collection[str] = ()) -> dict[str, Any]:
    """Reads the object of a JSON file.

    Args:
        path: The file.
        advice: The advice to the user if it is missing or broken, for the error message.
        keys: The keys that the object must have.

    Returns:
        The object.

    Raises:
        AMSLError: The file is missing, is not JSON, is larger than `MAX_JSON` bytes or lacks a key.
    """
    check_regular(path, advice)
    try:
        if path.stat().st_size > MAX_JSON:
            raise ValueError(f"more than {MAX_JSON:,} bytes")
        values = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise AMSLError(f"{path}: expected JSON ({error}). {advice}") from error
    for key in keys:
        if not isinstance(values, dict) or key not in values:
            raise AMSLError(f"{path}: expected an object with the key {key}. {advice}")
    return values
