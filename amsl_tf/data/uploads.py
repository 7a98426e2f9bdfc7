"""Copies finished files to URLs."""

import re
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Any

from amsl_tf.data.urls import NO_ACCESS, arrow_errors, open_file_system, plain_url
from amsl_tf.errors import StorageError

OBJECT_STORES = ("s3", "gcs", "abfs")  # by their names in pyarrow: a file is visible only when it is complete


def check_upload(url: str) -> None:
    """Raises AMSLError if a file cannot be written to a URL: no connection, no such bucket, or a folder in its place.

    Nothing is written, so that a lack of access may show only in `upload`.
    """
    file_system, path = open_file_system(url)
    bucket = path.partition("/")[0] if file_system.type_name in OBJECT_STORES else ""
    with arrow_errors(url, "written", StorageError):
        try:
            found = {info.path: info.type.name for info in file_system.get_file_info([bucket or path, path])}
        except OSError as error:
            if re.search(NO_ACCESS, str(error)):  # credentials for writing alone do not let us ask
                return
            raise
    if bucket and found[bucket] == "NotFound":
        raise StorageError(f"{plain_url(url)}: the bucket {bucket} is not found. Create it, or name another one.")
    if found[path] == "Directory":
        raise StorageError(f"{plain_url(url)}: is a folder. Name a file.")


def upload(file: Path, url: str) -> None:
    """Copies a finished file, which must fit in memory, to a URL; readers see all of it or nothing.

    Raises:
        StorageError: It cannot be written.
        AMSLError: URLs need a package that is not installed.
    """
    content = file.read_bytes()  # an object that is opened would be completed even if reading failed
    file_system, path = open_file_system(url)
    with arrow_errors(url, "written", StorageError):
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


def _write(file_system: Any, path: str, content: bytes) -> None:
    with file_system.open_output_stream(path) as opened:
        opened.write(content)
