"""The files of windows, with the names and the tree of the original code; arrays are float32 and memory-mapped.

    generate_dataset/    normal.npy  normal.csv  abnormal.npy  abnormal.csv  sensors.json
    transform_dataset/   split.json
        train_dataset/                        index.csv  data_{raw,no,ne,op,pe,sc,ti}_train.npy
        test_dataset/normal data/             index.csv  data_{...}_test.npy
        test_dataset/abnormal data/           index.csv  data_{...}_abnormal.npy

A .npy file holds (N, T, C), the CSV beside it a row of metadata for each window, sensors.json the names and axes of channels.
Without abnormal windows there are no files of abnormal windows.
"""

import os
from collections.abc import Collection
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from amsl_tf.data.files import check_regular, read_json
from amsl_tf.data.windows import Windows
from amsl_tf.errors import DataError


@dataclass(frozen=True)
class Part:
    """One of the three parts that transformation writes, and its place in the tree of the original code.

    Attributes:
        name: The name of the part in results.
        folder: Its folder, relative to the root of the tree.
        ending: The end of the names of its files.
    """

    name: str
    folder: str
    ending: str

    def file(self, root: Path, suffix: str) -> Path:
        """Returns the .npy file of a view by its suffix (`View.suffix`), below the root of the tree."""
        return root / self.folder / f"data_{suffix}_{self.ending}.npy"

    def index(self, root: Path) -> Path:
        """Returns the CSV file with the metadata of the windows, below the root of the tree."""
        return root / self.folder / "index.csv"


TRAIN = Part("train_normal", "train_dataset", "train")
TEST_NORMAL = Part("normal", "test_dataset/normal data", "test")
TEST_ABNORMAL = Part("abnormal", "test_dataset/abnormal data", "abnormal")
PARTS = (TRAIN, TEST_NORMAL, TEST_ABNORMAL)
GENERATED = ("normal", "abnormal")
SENSORS = "sensors.json"
GENERATED_ENTRIES = (*(f"{kind}.{ending}" for kind in GENERATED for ending in ("npy", "csv")), SENSORS)
SPLIT = "split.json"
TRANSFORMED_ENTRIES = (
    SPLIT,
    *(f"{part.folder}/{name}" for part in PARTS for name in ("index.csv", f"data_*_{part.ending}.npy")),
)


class ArrayWriter:
    """A context manager that writes a float32 .npy file part by part, in constant memory.

    Args:
        path: The file.
        shape: The shape of the whole array, which the parts make up along its first axis.

    Raises:
        DataError: At the end of the block, if rows are missing.
    """

    def __init__(self, path: Path, shape: tuple[int, ...]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path, self._shape, self._rows = path, shape, 0
        self._file = path.open("wb")
        np.lib.format.write_array_header_1_0(self._file, {"descr": "<f4", "fortran_order": False, "shape": shape})

    def append(self, part: np.ndarray) -> None:
        """Writes the next part (n, ...). Raises DataError if it does not fit the shape."""
        self._rows += len(part)
        if part.shape[1:] != self._shape[1:] or self._rows > self._shape[0]:
            found = f"a part of shape {part.shape} that ends at row {self._rows}"
            raise DataError(f"{self._path.name}: expected an array of shape {self._shape}, received {found}.")
        np.ascontiguousarray(part, "<f4").tofile(self._file)

    def __enter__(self) -> "ArrayWriter":
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        self._file.close()
        if error is None and self._rows != self._shape[0]:
            raise DataError(f"{self._path.name}: expected {self._shape[0]} rows, received {self._rows}.")


def open_array(path: Path, advice: str) -> np.ndarray:
    """Opens an .npy file, memory-mapped.

    Args:
        path: The file.
        advice: The advice to the user if it is missing or broken, for the error message.

    Returns:
        The array, read-only, with the shape and dtype of the file.

    Raises:
        DataError: The file is missing or not an .npy file of numbers.
    """
    check_regular(path, advice)
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        if not isinstance(array, np.ndarray):
            raise ValueError("it is an archive of several arrays")
        return array
    except Exception as error:  # a damaged file raises exceptions of any type
        reason = " ".join(str(error).split())
        raise DataError(f"{path}: not a complete .npy file of numbers ({reason:.200}). {advice}") from error


def expected_entries(folder: Path, entries: Collection[str]) -> list[str]:
    """Returns the patterns of the files of a stage that a folder of it holds, for `check_replaceable`.

    Args:
        folder: The folder, which need not exist.
        entries: `GENERATED_ENTRIES` or `TRANSFORMED_ENTRIES`.

    Returns:
        The entries; without those of abnormal windows if the folder has no such file.
    """
    of_abnormal = [entry for entry in entries if TEST_ABNORMAL.name in entry]
    has_abnormal = any(os.path.lexists(folder / entry) for entry in of_abnormal)
    return [entry for entry in entries if has_abnormal or entry not in of_abnormal]


def write_index(path: Path, columns: dict[str, np.ndarray]) -> None:
    """Writes the metadata of the rows of an array, as CSV with a header.

    Args:
        path: The file; its folder is created if needed.
        columns: The metadata by name, (N,) each.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(columns).to_csv(path, index=False)


def read_index(path: Path, advice: str, columns: Collection[str] = ()) -> dict[str, np.ndarray]:
    """Reads the metadata that `write_index` wrote.

    Args:
        path: The CSV file.
        advice: The advice to the user if it is missing or broken, for the error message.
        columns: The columns that it must have.

    Returns:
        All columns by name, arrays of strings (N,).

    Raises:
        DataError: The file is missing, is not a CSV or lacks one of `columns`.
    """
    check_regular(path, advice)
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, index_col=False)
    except (OSError, ValueError) as error:  # pandas' ParserError and EmptyDataError
        raise DataError(f"{path}: not a CSV file with a header ({error}). {advice}") from error
    for name in columns:
        if name not in table.columns:
            raise DataError(f"{path}: expected a column {name}. {advice}")
    return {str(name): table[name].to_numpy(dtype=str) for name in table.columns}


def open_windows(array: Path, index: Path | None, advice: str) -> Windows:
    """Opens windows from an .npy file and the CSV with their metadata.

    Args:
        array: The .npy file (N, T, C).
        index: The CSV file with N rows; columns that `Windows` does not have are ignored. If None, the metadata are unknown.
        advice: The advice to the user if a file is missing or broken, for the error message.

    Returns:
        The windows, memory-mapped if the file holds float32, with their metadata.

    Raises:
        DataError: A file is missing or broken, or the two do not fit.
    """
    columns = {} if index is None else read_index(index, advice)
    known = {item.name: columns[item.name] for item in fields(Windows) if item.name != "x" and item.name in columns}
    x = open_array(array, advice)
    try:
        return Windows(x, **known)
    except DataError as error:
        files = f"{array}" if index is None else f"{array} with {index.name}"
        raise DataError(f"{files}: {error} {advice}") from error


def open_generated(folder: Path, advice: str) -> tuple[Windows, Windows | None]:
    """Opens the normal and abnormal windows of a folder that preprocessing or the user wrote.

    Args:
        folder: The folder with normal.npy. Optional are abnormal.npy, which may have no windows, and a CSV beside each.
        advice: The advice to the user if a file is missing or broken, for the error message.

    Returns:
        The normal windows, and the abnormal windows or None if there are none. Without a CSV the metadata are unknown.

    Raises:
        DataError: A file is missing or broken, or the files do not fit each other.
    """
    normal_file, abnormal_file = (folder / f"{kind}.npy" for kind in GENERATED)
    normal, index = open_windows(normal_file, _index_beside(normal_file), advice), _index_beside(abnormal_file)
    has_rows = index is not None and any(map(len, read_index(index, advice).values()))
    if not has_rows and (not os.path.lexists(abnormal_file) or open_array(abnormal_file, advice).shape[:1] == (0,)):
        return normal, None
    abnormal = open_windows(abnormal_file, index, advice)
    if normal.x.shape[1:] != abnormal.x.shape[1:]:
        shapes = f"{normal.x.shape[1:]} and {abnormal.x.shape[1:]}"
        raise DataError(f"{folder}: expected windows of one shape (T, C) in normal.npy and abnormal.npy, found {shapes}.")
    return normal, abnormal


def _index_beside(array: Path) -> Path | None:
    """Returns the CSV with the metadata of an .npy file, or None if there is none."""
    index = array.with_suffix(".csv")
    return index if os.path.lexists(index) else None


def read_metadata(folder: Path, channels: int, advice: str) -> dict[str, Any]:
    """Reads sensors.json.

    Args:
        folder: The folder that preprocessing wrote.
        channels: C, the number of channels.
        advice: The advice to the user if the file is broken, for the error message.

    Returns:
        `axes` (1 without the file) and `channel_names`, parameters of a detector; `labels`, the titles of activities by name;
        and `test_subjects`, the default of the protocol `subject`.

    Raises:
        AMSLError: The file is broken, or does not fit the channels.
    """
    file = folder / SENSORS
    values = read_json(file, advice, ("axes",)) if file.exists() else {}
    axes, names = values.get("axes", 1), values.get("channel_names", [])
    labels, subjects = values.get("labels", {}), values.get("test_subjects", [])
    for name, value, expected, is_valid in (
        ("axes", axes, f"a divisor of the {channels} channels", type(axes) is int and axes >= 1 and channels % axes == 0),
        ("channel_names", names, f"{channels} different names, or none", _are_names(names) and len(names) in (0, channels)),
        ("labels", labels, "titles by activity", isinstance(labels, dict) and _are_names([*labels.values()], unique=False)),
        ("test_subjects", subjects, "a list of names", _are_names(subjects)),
    ):
        if not is_valid:
            raise DataError(f"{file}: {name} must be {expected}. Received: {value!r:.100}. {advice}")
    return {"axes": axes, "channel_names": names, "labels": labels, "test_subjects": subjects}


def _are_names(values: Any, unique: bool = True) -> bool:
    is_list = isinstance(values, list) and all(isinstance(value, str) and value for value in values)
    return is_list and (not unique or len(set(values)) == len(values))
