"""The formats of recordings, and the checks of a file before it is read: its name, its kind and its first bytes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol, TypeVar

from amsl_tf.data.files import check_local, check_regular
from amsl_tf.data.reading import UTF_8
from amsl_tf.errors import AMSLError, DataError

FORMATS = {  # the first bytes of each format; text has none of its own
    ".npy": b"\x93NUMPY",
    ".npz": b"PK\x03\x04",
    ".csv": b"",
    ".csv.gz": b"\x1f\x8b",
    ".csv.bz2": b"BZh",
    ".csv.xz": b"\xfd7zXZ\x00",
    ".parquet": b"PAR1",
}
_UTF_16 = "text in UTF-16; use --encoding utf-16"
CONTENTS = {  # by first bytes, for error messages
    b"\x93NUMPY": "an array; name it .npy",
    b"\x1f\x8b": "gzip data; name it .csv.gz if it is a compressed CSV",
    b"BZh91AY&SY": "bzip2 data; name it .csv.bz2 if it is a compressed CSV",
    b"\xfd7zXZ\x00": "xz data; name it .csv.xz if it is a compressed CSV",
    b"PAR1\x15": "a Parquet table; name it .parquet",
    b"PK\x03\x04": "a zip archive, such as .npz or .xlsx; name it .npz if it holds arrays, save a sheet as CSV",
    b"(\xb5/\xfd": "Zstandard data; decompress it",
    b"\xd0\xcf\x11\xe0": "an Excel workbook; save one sheet as CSV",
    b"\x89HDF": "HDF5 data; save one array with numpy.save",
    b"\xff\xfe": _UTF_16,
    b"\xfe\xff": _UTF_16,
}
ADVICE = f"Name a file that exists and ends in {', '.join(FORMATS)}."


E = TypeVar("E", bound="Entry")


class Entry(Protocol):
    """A file or folder: a path of this machine, or an entry of another file system."""

    @property
    def name(self) -> str: ...
    def is_dir(self) -> bool: ...
    def is_symlink(self) -> bool: ...
    def iterdir(self: E) -> Iterator[E]: ...


def file_format(file: Entry) -> str:
    """Returns the format of a file by its name, one of `FORMATS`, or "" if it has none of these endings."""
    return next((suffix for suffix in FORMATS if file.name.lower().endswith(suffix)), "")


def input_path(file: str | Path) -> Path:
    """Converts the path of a recording. Raises DataError if it is no path, is a URL, or is not in UTF-8."""
    try:
        return check_local(file)
    except AMSLError as error:
        raise DataError(str(error)) from error


def check_input(file: Path, encoding: str = UTF_8) -> None:
    """Raises DataError if a file is missing, is not a regular file, or is not what its name says.

    Args:
        file: The file.
        encoding: The encoding of text, see `Reading`.
    """
    check_regular(input_path(file), ADVICE)
    with file.open("rb") as opened:
        start = opened.read(10)
    if not start:
        raise DataError(f"{file}: expected a recording, but the file is empty. Write it again.")
    suffix, found = file_format(file), next((CONTENTS[first] for first in CONTENTS if start.startswith(first)), "")
    if found == _UTF_16 and encoding.startswith("utf-16"):
        found = ""
    if not suffix and not found:
        raise DataError(f"{file}: expected a file that ends in {', '.join(FORMATS)}. Name such a file, or convert this one.")
    if not suffix or not start.startswith(FORMATS[suffix]) or (found and not FORMATS[suffix]):
        expected = f"the content of a {suffix} file" if suffix else f"a file that ends in {', '.join(FORMATS)}"
        raise DataError(f"{file}: expected {expected}, found {found or 'other data; write it again'}.")


def import_parquet() -> Any:
    """Imports pyarrow.parquet. Raises AMSLError if pyarrow is not installed."""
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise AMSLError(f"Parquet needs pyarrow ({error}). Run pip install 'amsl_tf[parquet]'.") from error
    return parquet
