"""Files and folders that are written whole or not at all."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from amsl_tf.errors import AMSLError


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Gives a temporary path, which takes the name `path` when the block ends well and vanishes when it does not.

    The temporary name ends as `path` does, which decides the format for some writers.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path, marker: str) -> Iterator[Path]:
    """Gives a temporary folder, which takes the place of `path` when the block ends well and vanishes when it does not.

    Args:
        path: The folder to make or replace.
        marker: A file that tells a folder of this kind from any other: a non-empty folder without it is never replaced.

    Raises:
        AMSLError: `path` holds something else.
    """
    if path.exists() and not (path.is_dir() and ((path / marker).is_file() or not any(path.iterdir()))):
        raise AMSLError(
            f"{path}: exists and is not what this program writes there (it has no {marker}). Move it or name another folder."
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary, former = (path.with_name(f".{path.name}.{os.getpid()}.{role}") for role in ("new", "old"))
    try:
        temporary.mkdir()
        yield temporary
        if path.exists():
            path.rename(former)
        temporary.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if former.exists() and not path.exists():
            former.rename(path)
        shutil.rmtree(former, ignore_errors=True)


def write_json(path: Path, values: Any) -> None:
    """Writes a JSON file, whole or not at all."""
    with atomic_file(path) as temporary:
        temporary.write_text(json.dumps(values, indent=2) + "\n")


def read_json(path: Path, advice: str) -> Any:
    """What a JSON file holds.

    Args:
        path: The file.
        advice: What the user should do if it is missing or broken.

    Raises:
        AMSLError: The file is missing or is not JSON.
    """
    try:
        return json.loads(path.read_text())
    except FileNotFoundError as error:
        raise AMSLError(f"{path}: not found. {advice}") from error
    except ValueError as error:
        raise AMSLError(f"{path}: expected JSON ({error}). {advice}") from error
