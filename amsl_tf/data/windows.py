"""Windows of multivariate sensor data and their validation."""

import hashlib
import reprlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pandas as pd

from amsl_tf.data.conversion import to_float
from amsl_tf.errors import DataError

MIN_STEPS = 16  # the smoothing needs 11 steps, the encoder halves the time axis twice
LARGEST = 1e30  # the largest absolute value: its views are finite in float32
CHUNK = 256  # windows in memory at a time where an array is streamed


@dataclass(frozen=True, eq=False)  # arrays have no single truth value
class Windows:
    """N windows of T time steps and C channels, with their metadata.

    Attributes:
        x: float32 (N, T, C), finite; may be memory-mapped.
        activity, subject, segment, source: The activity, the subject recorded, the part of the recording and the file: arrays
            of N strings each, or None where unknown.
        label: int (N,), 1 for abnormal and 0 for normal windows, or None.

    Raises:
        DataError: `check_windows` does not accept `x`, or another array does not have N entries.

    Example:
        >>> windows = Windows(x, subject=subjects, label=labels)  # arrays (N, T, C), (N,) and (N,)
        >>> normal = windows[windows.label == 0]
    """

    x: np.ndarray
    activity: np.ndarray | None = None
    subject: np.ndarray | None = None
    segment: np.ndarray | None = None
    source: np.ndarray | None = None
    label: np.ndarray | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "x", check_windows(self.x))
        for name, values in self.columns().items():
            object.__setattr__(self, name, check_labels(name, values, len(self)))
        if self.label is not None:
            object.__setattr__(self, "label", check_binary("label", self.label, len(self)))

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, rows: Any) -> "Windows":
        """Returns the windows at a slice, at positions or where a mask is true, with their metadata."""
        return Windows(self.x[rows], **{name: column[rows] for name, column in self.columns().items()})

    @classmethod
    def of(cls, windows: Any) -> "Windows":
        """Returns `windows` itself if it is a `Windows`, else `Windows` around an array (N, T, C)."""
        return windows if isinstance(windows, cls) else cls(windows)

    def columns(self) -> dict[str, np.ndarray]:
        """Returns the metadata that is known, (N,) each by name."""
        values = {item.name: getattr(self, item.name) for item in fields(self) if item.name != "x"}
        return {name: column for name, column in values.items() if column is not None}


def check_windows(x: Any, shape: tuple[int, ...] | None = None, count: int | None = None, *, finite: bool = True) -> np.ndarray:
    """Validates windows.

    Args:
        x: Anything that NumPy converts to a three-dimensional array of numbers, or of objects that are numbers. Masked values,
            None and `pandas.NA` are missing: NaN.
        shape: The expected (T, C); any T of at least 16 and any C of at least 1 if None.
        count: The expected N; any from 1 if None.
        finite: Whether values that are missing, infinite or beyond `LARGEST` are refused.

    Returns:
        The windows, float32 (N, T, C); the input itself, possibly memory-mapped, if it has this dtype.

    Raises:
        DataError: The array is empty, has another shape or holds something else than real numbers, or with `finite` a value
            that is missing or not within `LARGEST` of 0.
    """
    try:
        array = np.ma.array(x) if _has_masked_parts(x) else np.asanyarray(x)
    except ValueError as error:  # rows of different lengths
        raise DataError(f"windows must form one array (N, T, C). Received: {error}.") from error
    expected = f"({count or 'N'}, {'T, C' if shape is None else f'{shape[0]}, {shape[1]}'})"
    if array.ndim != 3 or array.shape[1:] != (shape or array.shape[1:]) or len(array) != (count or len(array)):
        raise DataError(f"windows must have shape {expected}: windows, time steps, channels. Received: shape={array.shape}.")
    for axis, (name, least) in enumerate({"window": 1, "time step": MIN_STEPS, "channel": 1}.items()):
        if array.shape[axis] < least:
            raise DataError(
                f"there must be at least {least} {name}{'s' * (least > 1)}; the order is windows, time steps, channels. "
                f"Received: shape={array.shape}."
            )
    array = _to_float32(array, finite)
    for start, chunk in chunks(array) if finite else ():
        usable = np.abs(chunk) <= LARGEST  # false for NaN
        if not usable.all():
            window, step, channel = np.argwhere(~usable)[0]
            raise DataError(
                f"windows must be finite numbers within {LARGEST:g} of 0. Received: {chunk[window, step, channel]} "
                f"in {_describe_place(start + window, step, channel)}."
            )
    return array


def _to_float32(array: np.ndarray, finite: bool) -> np.ndarray:
    """Converts numbers to float32 and masked values to NaN; with `finite` masked values are refused."""
    mask = np.ma.getmask(array)
    if finite and mask.any():
        raise DataError(
            "windows must have no missing values. Received: a masked array, with a masked value in "
            f"{_describe_place(*np.argwhere(mask)[0])}. Fill the masked values first."
        )
    array = np.ma.getdata(array)
    if array.dtype == object:
        numbers, invalid = to_float(array)
        if (invalid & ~mask).any():
            place = tuple(np.argwhere(invalid & ~mask)[0])
            received = f"{reprlib.repr(array[place])} in {_describe_place(*place)}"
            raise DataError(f"windows must hold real numbers. Received: {received}. Convert it to a number.")
        array = numbers
    if array.dtype.kind not in "fiu":
        raise DataError(f"windows must hold real numbers. Received: dtype={array.dtype}. Convert them to float32.")
    with np.errstate(over="ignore", under="ignore"):  # overflow becomes infinite
        array = array if array.dtype == np.float32 else array.astype(np.float32)
    return np.where(mask, np.float32(np.nan), array) if mask.any() else array


def _has_masked_parts(x: Any) -> bool:
    """Returns whether a list holds masked arrays, the masks of which `numpy.asanyarray` would drop."""
    return isinstance(x, list | tuple) and any(isinstance(part, np.ma.MaskedArray) for part in x)


def _describe_place(window: int, step: int, channel: int) -> str:
    return f"window {window}, time step {step}, channel {channel} (counted from 0)"


def check_views(views: Mapping[str, Any], names: tuple[str, ...], shape: tuple[int, ...]) -> dict[str, np.ndarray]:
    """Validates materialised views with `check_windows`.

    Args:
        views: Arrays by name; those not in `names` are ignored.
        names: The names of the views.
        shape: (N, T, C) of the windows.

    Returns:
        float32 (N, T, C) by name, in the order of `names`.

    Raises:
        DataError: A view is missing, or `check_windows` does not accept it.
    """
    if not isinstance(views, Mapping):
        raise DataError(f"views must be a dict of arrays by name. Received: {type(views).__name__}.")
    missing = [name for name in names if name not in views]
    if missing:
        raise DataError(f"views must have an array for each of {', '.join(names)}. Received: none for {', '.join(missing)}.")
    checked = {}
    for name in names:
        try:
            checked[name] = check_windows(views[name], shape[1:], shape[0])
        except DataError as error:
            raise DataError(f"view {name}: {error}") from error
    return checked


def check_binary(name: str, values: Any, count: int, item: str = "window") -> np.ndarray:
    """Validates binary labels.

    Args:
        name: The name of the labels, for error messages.
        values: Numbers, bools or their text.
        count: The expected number of labels N.
        item: What is labelled, for error messages.

    Returns:
        int (N,), 0 for normal and 1 for abnormal items.

    Raises:
        DataError: There is another number of labels, or one is neither 0 nor 1.
    """
    labels = check_labels(name, values, count, item)
    numbers = pd.to_numeric(pd.Series(labels), errors="coerce").to_numpy(float)  # NaN for what is not a number
    other = np.flatnonzero(~np.isin(numbers, (0, 1)))
    if len(other):
        received = f"{labels[other[0]]} for {item} {other[0]}"
        raise DataError(f"{name} must be 0 (normal) or 1 (abnormal). Received: {received}.")
    return numbers.astype(int)


def check_labels(name: str, values: Any, count: int, item: str = "window") -> np.ndarray:
    """Validates the metadata of windows, such as groups.

    Args:
        name: The name of the metadata, for error messages.
        values: Numbers or strings, all comparable with each other.
        count: The expected number of entries N.
        item: What the metadata describes, for error messages.

    Returns:
        An array (N,) with the dtype that NumPy gives the values.

    Raises:
        DataError: There is another number of entries, one is missing (None, NaN, masked), or they cannot be compared.
    """
    labels = np.asarray(values, object)  # NumPy would convert everything to text if one entry is text, NaN included
    if labels.shape != (count,):
        raise DataError(f"{name} must have one entry for each of the {count} {item}s. Received: shape={labels.shape}.")
    missing = np.flatnonzero(pd.isna(labels) | np.ma.getmask(values))
    if len(missing):
        raise DataError(f"{name} must have one entry for each of the {count} {item}s. Received: none for {item} {missing[0]}.")
    try:
        np.unique(labels)
    except TypeError as error:
        raise DataError(f"{name} must be all of one type. Received: {error}.") from error
    return np.asarray(values)


def chunks(array: np.ndarray, size: int = CHUNK) -> Iterator[tuple[int, np.ndarray]]:
    """Yields consecutive parts of an array along its first axis, each with the position of its first row."""
    for start in range(0, len(array), size):
        yield start, array[start : start + size]


def hash_windows(x: np.ndarray) -> str:
    """Computes the sha256 of the shape and the float32 values of windows (N, T, C), in hexadecimal digits."""
    digest = hashlib.sha256(str(x.shape).encode())
    for _, chunk in chunks(x):
        digest.update(np.ascontiguousarray(chunk).tobytes())
    return digest.hexdigest()


def number_windows(x: np.ndarray) -> np.ndarray:
    """Numbers windows so that equal windows have equal numbers; those that are constant over time have numbers of their own.

    Args:
        x: float32 (N, T, C), possibly memory-mapped.

    Returns:
        int (N,).
    """
    hashes = np.concatenate([hash_each(part) for _, part in chunks(x)])
    return pd.factorize(np.where(hashes < 0, -1 - np.arange(len(x)), hashes))[0]


def hash_each(x: np.ndarray) -> np.ndarray:
    """Returns a hash of each window (n, T, C), int64 (n,) from 0 on; -1 for those that are constant over time."""
    hashes = [int.from_bytes(hashlib.sha256(window.tobytes()).digest()[:8], "big") >> 1 for window in x]
    return np.where((x == x[:, :1]).all(axis=(1, 2)), -1, np.array(hashes, np.int64))
