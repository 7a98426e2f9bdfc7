"""Atomic writes of files and folders, locks, and JSON files."""

import errno
import json
import os
import secrets
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from amsl_tf.errors import AMSLError

LOCK = "lock"


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yields a temporary path that is renamed to `path` if the block succeeds, and removed if it fails.

    The temporary name has the suffix of `path`, from which some writers infer the format.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{secrets.token_hex(4)}.{path.name}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def check_replaceable(path: Path, entries: Collection[str]) -> None:
    """Checks that a path is free, an empty folder, or a folder with exactly the entries that this package writes.

    Args:
        path: The path.
        entries: The names of the entries.

    Raises:
        AMSLError: `path` is anything else, which must not be replaced.
    """
    if path.is_dir():
        found = {item.name for item in path.iterdir()}
        if not found or found == set(entries):
            return
        foreign, missing = sorted(found.difference(entries)), sorted(set(entries) - found)
        fault = f"contains {foreign[0]}, which amsl_tf does not write there" if foreign else f"lacks {missing[0]}"
    elif path.exists():
        fault = "is not a folder"
    else:
        return
    raise AMSLError(f"{path}: {fault}, so it is not replaced. Move what you need and remove it, or name another folder.")


@contextmanager
def atomic_folder(path: Path, entries: Collection[str]) -> Iterator[Path]:
    """Yields a temporary folder that replaces `path` if the block succeeds, and is removed if it fails.

    Args:
        path: The folder to create or replace.
        entries: The names of everything that the block writes into it; a folder with other entries is never replaced.

    Yields:
        The temporary folder, beside `path`.

    Raises:
        AMSLError: `path` holds anything else.
    """
    path = path.resolve()
    check_replaceable(path, entries)
    path.parent.mkdir(parents=True, exist_ok=True)
    token = secrets.token_hex(4)
    temporary, former = (path.with_name(f".{path.name}.{token}.{role}") for role in ("new", "old"))
    temporary.mkdir()
    try:
        yield temporary
        if path.exists():
            path.rename(former)
        temporary.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if former.exists() and not path.exists():
            former.rename(path)
        shutil.rmtree(former, ignore_errors=True)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Creates a folder and locks it for this process; the lock ends with the process at the latest.

    A file system without locks, as on some clusters, is used without locking.

    Raises:
        AMSLError: Another process has locked the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise AMSLError(f"{folder}: in use by another process. Wait until it has ended, or stop it.") from error
    except (NotImplementedError, OSError) as error:
        if isinstance(error, OSError) and error.errno not in (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP):
            raise
    try:
        yield
    finally:
        lock.release()


def write_json(path: Path, values: Any) -> None:
    """Writes a JSON file atomically."""
    with atomic_file(path) as temporary:
        temporary.write_text(json.dumps(values, indent=2) + "\n")


def read_json(path: Path, advice: str, keys: Collection[str] = ()) -> dict[str, Any]:
    """Reads the object of a JSON file.

    Args:
        path: The file.
        advice: The advice to the user if it is missing or broken, for the error message.
        keys: The keys that the object must have.

    Returns:
        The object.

    Raises:
        AMSLError: The file is missing, is not JSON or lacks a key.
    """
    try:
        values = json.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise AMSLError(f"{path}: not found. {advice}") from error
    except (OSError, ValueError) as error:
        raise AMSLError(f"{path}: expected JSON ({error}). {advice}") from error
    for key in keys:
        if not isinstance(values, dict) or key not in values:
            raise AMSLError(f"{path}: expected an object with the key {key}. {advice}")
    return values
