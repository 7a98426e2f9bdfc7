"""The project's files of windows: the original's names and tree, float32, memory-mapped, written whole or not at all.

    generate_dataset/    normal.npy  normal.csv  abnormal.npy  abnormal.csv  sensors.json
    transform_dataset/   split.json
        train_dataset/                        index.csv  data_{raw,no,ne,op,pe,sc,ti}_train.npy
        test_dataset/normal data/             index.csv  data_{...}_test.npy
        test_dataset/abnormal data/           index.csv  data_{...}_abnormal.npy

A .npy file holds (N, T, C); the CSV beside it says what its rows are, and sensors.json which channels belong together.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from amsl_tf.data.files import read_json
from amsl_tf.data.windows import Windows, check_windows
from amsl_tf.errors import DataError
from amsl_tf.views import VIEWS


@dataclass(frozen=True)
class Part:
    """One of the three sets of windows that transformation writes, by its place in the original's tree."""

    name: str
    folder: str
    ending: str

    def file(self, root: Path, suffix: str) -> Path:
        return root / self.folder / f"data_{suffix}_{self.ending}.npy"

    def index(self, root: Path) -> Path:
        return root / self.folder / "index.csv"


TRAIN = Part("train_normal", "train_dataset", "train")
TEST_NORMAL = Part("normal", "test_dataset/normal data", "test")
TEST_ABNORMAL = Part("abnormal", "test_dataset/abnormal data", "abnormal")
PARTS = (TRAIN, TEST_NORMAL, TEST_ABNORMAL)
GENERATED = ("normal", "abnormal")
SENSORS = "sensors.json"
GENERATED_ENTRIES = (*(f"{kind}.{ending}" for kind in GENERATED for ending in ("npy", "csv")), SENSORS)
SPLIT = "split.json"
TRANSFORMED_ENTRIES = (SPLIT, "train_dataset", "test_dataset")


class ArrayWriter:
    """Writes a float32 .npy file part by part, with no more memory than one part takes. A context manager.

    Args:
        path: The file.
        shape: Of the whole array; the parts follow each other along its first axis.
    """

    def __init__(self, path: Path, shape: tuple[int, ...]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("wb")
        np.lib.format.write_array_header_1_0(self._file, {"descr": "<f4", "fortran_order": False, "shape": shape})

    def append(self, part: np.ndarray) -> None:
        np.ascontiguousarray(part, "<f4").tofile(self._file)

    def __enter__(self) -> "ArrayWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def open_array(path: Path, advice: str) -> np.ndarray:
    """An .npy file, memory-mapped.

    Raises:
        DataError: The file is missing or is no .npy file of numbers.
    """
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        if not isinstance(array, np.ndarray):
            raise ValueError("it is an archive of several")
        return array
    except FileNotFoundError as error:
        raise DataError(f"{path}: not found. {advice}") from error
    except (ValueError, EOFError) as error:
        raise DataError(f"{path}: not a whole .npy file of numbers ({error}). {advice}") from error


def write_index(path: Path, columns: dict[str, np.ndarray]) -> None:
    """Writes what the rows of an array are, as CSV with a header."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(columns).to_csv(path, index=False)


def read_index(path: Path, advice: str, columns: Collection[str] = ()) -> dict[str, np.ndarray]:
    """The columns of an index, as arrays of strings.

    Raises:
        DataError: The file is missing, is no CSV or lacks one of `columns`.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, index_col=False)
    except FileNotFoundError as error:
        raise DataError(f"{path}: not found. {advice}") from error
    except ValueError as error:  # pandas' ParserError and EmptyDataError
        raise DataError(f"{path}: not a CSV file with a header ({error}). {advice}") from error
    for name in columns:
        if name not in table.columns:
            raise DataError(f"{path}: expected a column {name}. {advice}")
    return {str(name): table[name].to_numpy(dtype=str) for name in table.columns}


def open_windows(array: Path, index: Path, advice: str) -> Windows:
    """Windows from an .npy file and the CSV that says what its rows are; columns that `Windows` has not are left out.

    Raises:
        DataError: A file is missing or broken, or the two do not fit.
    """
    columns = read_index(index, advice)
    known = {item.name: columns[item.name] for item in fields(Windows) if item.name != "x" and item.name in columns}
    try:
        return Windows(open_array(array, advice), **known)
    except DataError as error:
        raise DataError(f"{array} with {index.name}: {error} {advice}") from error


def read_sensors(folder: Path, advice: str) -> dict[str, Any]:
    """What sensors.json says of the channels, as settings of a detector, `axes` and `channel_names`; their defaults without it.

    Raises:
        AMSLError: The file is broken.
    """
    file = folder / SENSORS
    known = read_json(file, advice, ("axes",)) if file.exists() else {}
    return {"axes": known.get("axes", 1), "channel_names": known.get("channel_names", [])}


def open_views(root: Path, part: Part, names: Iterable[str], advice: str) -> dict[str, np.ndarray]:
    """The materialised views of a part, memory-mapped, by name.

    Raises:
        DataError: A file is missing or broken, or of another shape than the raw view.
    """
    suffixes = {view.name: view.suffix for view in VIEWS}
    shape = open_array(part.file(root, suffixes["raw"]), advice).shape
    views = {}
    for name in names:
        file = part.file(root, suffixes[name])
        try:
            views[name] = check_windows(open_array(file, advice), shape[1:], shape[0])
        except DataError as error:
            raise DataError(f"{file}: {error} {advice}") from error
    return views
