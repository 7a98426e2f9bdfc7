"""Files and folders that are written whole or not at all."""

import errno
import json
import os
import secrets
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from amsl_tf.errors import AMSLError

try:
    import fcntl
except ImportError:  # on Windows, where nobody is kept out
    fcntl = None  # type: ignore[assignment]

LOCK = "lock"


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Gives a temporary path, which takes the name `path` when the block ends well and vanishes when it does not.

    The temporary name ends as `path` does, which decides the format for some writers.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{secrets.token_hex(4)}.{path.name}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def check_replaceable(path: Path, entries: Collection[str]) -> None:
    """Refuses to replace anything but a folder that holds exactly what this program writes there, or nothing.

    Raises:
        AMSLError: `path` is something else.
    """
    if path.is_dir():
        found = {item.name for item in path.iterdir()}
        if not found or found == set(entries):
            return
        foreign, missing = sorted(found.difference(entries)), sorted(set(entries) - found)
        fault = f"has {foreign[0]}, which this program does not write there" if foreign else f"lacks {missing[0]}"
    elif path.exists():
        fault = "is no folder"
    else:
        return
    raise AMSLError(f"{path}: {fault}. It is not replaced: move what you need and remove it, or name another folder.")


@contextmanager
def atomic_folder(path: Path, entries: Collection[str]) -> Iterator[Path]:
    """Gives a temporary folder, which takes the place of `path` when the block ends well and vanishes when it does not.

    Args:
        path: The folder to make or replace.
        entries: The names of all that the block puts into it; a folder with other names at its top is never replaced.

    Raises:
        AMSLError: `path` holds something else.
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
    """Makes a folder and keeps other processes out of it that ask for the same; let go of however the process ends.

    Raises:
        AMSLError: Another process is at work in the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("w") as file:
        if fcntl is not None:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise AMSLError(f"{folder}: another process is at work here. Wait until it has ended, or stop it.") from error
            except OSError as error:
                if error.errno not in (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP):
                    raise  # else a file system without locks, as clusters have: nobody is kept out
        yield


def write_json(path: Path, values: Any) -> None:
    """Writes a JSON file, whole or not at all."""
    with atomic_file(path) as temporary:
        temporary.write_text(json.dumps(values, indent=2) + "\n")


def read_json(path: Path, advice: str, keys: Collection[str] = ()) -> dict[str, Any]:
    """The object that a JSON file holds.

    Args:
        path: The file.
        advice: What the user should do if it is missing or broken.
        keys: Which the object must have.

    Raises:
        AMSLError: The file is missing, is not JSON or lacks a key.
    """
    try:
        values = json.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise AMSLError(f"{path}: not found. {advice}") from error
    except ValueError as error:
        raise AMSLError(f"{path}: expected JSON ({error}). {advice}") from error
    for key in keys:
        if not isinstance(values, dict) or key not in values:
            raise AMSLError(f"{path}: expected an object with the key {key}. {advice}")
    return values
