"""Windows of multivariate sensor data, and the one validation that all of them pass."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pandas as pd

from amsl_tf.errors import DataError

MIN_STEPS = 16  # the shortest window: the smoothing needs 11 steps, the encoder halves the time axis twice
LARGEST = 1e30  # of values: views of it stay finite in float32
CHUNK = 256  # windows that are held in memory at a time wherever an array is streamed


@dataclass(frozen=True)
class Windows:
    """N windows of T time steps and C channels, and what is known about them.

    Attributes:
        x: float32 (N, T, C), finite; may be memory-mapped.
        activity, subject, segment, source: What each window shows, of whom, which part of the recording it is and the file
            that it comes from: arrays of N strings, or None where not known.

    Raises:
        DataError: `x` is not what `check_windows` accepts, or another array has not N entries.
    """

    x: np.ndarray
    activity: np.ndarray | None = None
    subject: np.ndarray | None = None
    segment: np.ndarray | None = None
    source: np.ndarray | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "x", check_windows(self.x))
        for name, values in self.index().items():
            object.__setattr__(self, name, check_labels(name, values, len(self)))

    def __len__(self) -> int:
        return len(self.x)

    @classmethod
    def of(cls, windows: Any) -> "Windows":
        """`windows` itself, or Windows around an array (N, T, C)."""
        return windows if isinstance(windows, cls) else cls(windows)

    def index(self) -> dict[str, np.ndarray]:
        """What is known about the windows, by name."""
        known = {item.name: getattr(self, item.name) for item in fields(self) if item.name != "x"}
        return {name: values for name, values in known.items() if values is not None}


def check_windows(x: Any, shape: tuple[int, ...] | None = None, count: int | None = None) -> np.ndarray:
    """Returns windows as a finite float32 array (N, T, C), memory-mapped where it came so.

    Args:
        x: Anything that NumPy takes for a three-dimensional array of numbers.
        shape: The (T, C) that is expected; any T of at least 16 and any C of at least 1 if None.
        count: The N that is expected; any from 1 if None.

    Raises:
        DataError: The array is empty or has another shape, or holds something that is not a number within `LARGEST` of 0.
    """
    try:
        array = np.asanyarray(x)
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
    if isinstance(array, np.ma.MaskedArray):
        raise DataError("windows must be without gaps. Received: a masked array. Fill what is masked first.")
    if array.dtype.kind not in "fiu":
        raise DataError(f"windows must hold real numbers. Received: dtype={array.dtype}.")
    with np.errstate(over="ignore"):  # what overflows float32 is found below, as infinite
        array = array if array.dtype == np.float32 else array.astype(np.float32)
    for start, chunk in chunks(array):
        usable = np.abs(chunk) <= LARGEST  # false for NaN
        if not usable.all():
            window, step, channel = np.argwhere(~usable)[0]
            raise DataError(
                f"windows must be finite numbers within {LARGEST:g} of 0. Received: {chunk[window, step, channel]} "
                f"in window {start + window}, time step {step}, channel {channel} (counted from 0)."
            )
    return array


def check_views(views: Mapping[str, Any], names: tuple[str, ...], shape: tuple[int, ...]) -> dict[str, np.ndarray]:
    """Returns the views of these names, each as `check_windows` does.

    Args:
        views: Arrays by name; others than `names` are left out.
        names: Of the views.
        shape: (N, T, C) of the windows.

    Raises:
        DataError: A view is missing, or is not what `check_windows` accepts.
    """
    missing = [name for name in names if name not in views]
    if missing:
        raise DataError(f"views must have an array for each of {', '.join(names)}. Received: none for {', '.join(missing)}.")
    return {name: check_windows(views[name], shape[1:], shape[0]) for name in names}


def check_labels(name: str, values: Any, count: int) -> np.ndarray:
    """Returns what is known of `count` windows as an array (count,).

    Raises:
        DataError: There is another number of entries, one is missing (None, NaN), or they cannot be compared.
    """
    labels = np.asarray(values, object)  # as they come: NumPy would make text of what stands beside text, NaN too
    if labels.shape != (count,):
        raise DataError(f"{name} must have one entry for each of the {count} windows. Received: shape={labels.shape}.")
    missing = np.flatnonzero(pd.isna(labels))
    if len(missing):
        raise DataError(f"{name} must have one entry for each of the {count} windows. Received: none for window {missing[0]}.")
    try:
        np.unique(labels)
    except TypeError as error:
        raise DataError(f"{name} must be all of one type. Received: {error}.") from error
    return np.asarray(values)


def chunks(array: np.ndarray, size: int = CHUNK) -> Iterator[tuple[int, np.ndarray]]:
    """Consecutive parts of an array along its first axis, each with the place where it starts."""
    for start in range(0, len(array), size):
        yield start, array[start : start + size]
