"""Lengths of windows, strides and gaps, in rows or in time."""

import warnings
from datetime import timedelta
from numbers import Integral
from typing import Any

import pandas as pd

from amsl_tf.errors import DataError

Length = int | float  # rows, or seconds
LONGEST = 1e12
NEAREST = 0.01  # a length in time is rounded to rows if this changes it by no more, relative
ADVICE = "Give a number of rows such as 100, or a time such as 2s, 500ms or 1min."


def parse_length(name: str, value: Any, *, allow_zero: bool = False) -> Length:
    """Converts a length in rows or in time.

    Args:
        name: The name of the length, for error messages.
        value: A whole number of rows, a time such as "2s", "500ms" or "1 min", or a timedelta.
        allow_zero: Whether a length may be 0.

    Returns:
        The rows as an int, or the seconds as a float.

    Raises:
        DataError: The value is neither, or too small.
    """
    length: Length = -1
    try:
        is_rows = value.strip().isdecimal() if isinstance(value, str) else isinstance(value, Integral)
        if is_rows and not isinstance(value, bool):
            length = int(value)
        elif isinstance(value, str | timedelta):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # newer versions of pandas warn of `d`
                length = float(pd.Timedelta(value).total_seconds())
    except ValueError:
        length = -1
    if not 0 <= length <= LONGEST or (length == 0 and not allow_zero):  # false for NaN
        least = "0 or more" if allow_zero else "above 0"
        raise DataError(f"{name} must be a number of rows or a time, {least}. Received: {value!r}. {ADVICE}")
    return length


def to_rows(name: str, value: Any, period: float | None, *, allow_zero: bool = False) -> int:
    """Converts a length in rows or in time to rows.

    Args:
        name, value, allow_zero: As for `parse_length`.
        period: The seconds between two rows; None if it is not known.

    Returns:
        The rows.

    Raises:
        DataError: The value is not a length, or a time that is not a whole number of rows, or `period` is not known.
    """
    length = parse_length(name, value, allow_zero=allow_zero)
    if isinstance(length, int):
        return length
    if period is None:
        raise DataError(
            f"{name} is a time, {length:g} s, but the recording has no times. Give {name} in rows, or the sampling rate."
        )
    rows = round(length / period)
    if abs(length / period - rows) > NEAREST * rows:
        raise DataError(
            f"{name} must be a whole number of rows, which are {period:g} s apart. Received: {length:g} s. Give {name} in "
            "rows, or resample."
        )
    return rows


def describe_seconds(seconds: float) -> str:
    """Returns a duration in words for readers: `1.2 s`, `3 min 20 s`, `2 days 4 h`."""
    if seconds < 60:
        return f"{seconds:.3g} s"
    parts, rest = [], round(seconds)
    for unit, size in (("days", 86_400), ("h", 3600), ("min", 60), ("s", 1)):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count:,} {'day' if unit == 'days' and count == 1 else unit}")
    return " ".join(parts[:2])
