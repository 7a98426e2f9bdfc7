"""Lengths of windows, strides and gaps, in rows or in time."""

import logging
import re
from datetime import timedelta
from numbers import Integral
from typing import Any

from amsl_tf.errors import DataError

log = logging.getLogger(__name__)

Length = int | float  # rows, or seconds
LONGEST = 1e12
NEAREST = 0.01  # a length in time is rounded to rows if this changes it by no more, relative
UNNOTED = 0.002  # a smaller change is not logged: the time between rows is often estimated
UNITS = {  # in seconds, by their names
    1e-9: ("ns", "nanosecond", "nanoseconds"),
    1e-6: ("us", "µs", "microsecond", "microseconds"),
    1e-3: ("ms", "millisecond", "milliseconds"),
    1.0: ("s", "sec", "secs", "second", "seconds"),
    60.0: ("min", "mins", "minute", "minutes"),
    3600.0: ("h", "hr", "hrs", "hour", "hours"),
    86_400.0: ("d", "day", "days"),
    604_800.0: ("week", "weeks"),
}
_SECONDS = {name: seconds for seconds, names in UNITS.items() for name in names}
_PART = r"(\d+(?:\.\d+)?|\.\d+)\s*([a-zµ]+)\s*"  # of a time, such as `1min 30s`
ADVICE = "Give a number of rows such as 100, or a time such as 2s, 500ms or 1min."


def parse_length(name: str, value: Any, *, allow_zero: bool = False) -> Length:
    """Converts a length in rows or in time.

    Args:
        name: The name of the length, for error messages.
        value: A whole number of rows, a time such as "2s", "500ms", "1.5 h" or "1min 30s" (see `UNITS`), or a timedelta.
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
        elif isinstance(value, timedelta):
            length = value.total_seconds()
        elif isinstance(value, str):
            length = _parse_time(value)
    except ValueError:  # a number of more digits than Python converts
        length = -1
    if not 0 <= length <= LONGEST or (length == 0 and not allow_zero):
        least, advice = "0 or more" if allow_zero else "above 0", ADVICE
        if isinstance(value, str) and "," in value and _parse_time(point := value.strip().replace(",", ".")) > 0:
            advice = f"If the comma is a decimal one, write {point}."
        raise DataError(f"{name} must be a number of rows or a time, {least}. Received: {value!r}. {advice}")
    return length


def _parse_time(text: str) -> float:
    """Returns the seconds of a time such as `1min 30s`, or -1 if it is none."""
    text = text.strip().lower()
    parts = re.findall(_PART, text)
    if not re.fullmatch(f"({_PART})+", text) or not all(unit in _SECONDS for _, unit in parts):
        return -1
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)


def to_rows(name: str, value: Any, period: float | None, *, allow_zero: bool = False) -> int:
    """Converts a length in rows or in time to rows.

    A time that is not a whole number of rows is rounded to them if this changes it by no more than `NEAREST`, relative, which
    is logged if it changes it by more than `UNNOTED`.

    Args:
        name, value, allow_zero: As for `parse_length`.
        period: The seconds between two rows; None if it is not known.

    Returns:
        The rows.

    Raises:
        DataError: The value is not a length, or a time that is not near a whole number of rows, or `period` is not known.
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
    if abs(rows * period - length) > UNNOTED * length:
        log.info(f"{name}: {length:g} s is rounded to {rows:,} rows, {rows * period:g} s")
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
