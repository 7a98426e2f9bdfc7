"""Gaps in the times of a recording."""

import re
import warnings
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
from pandas.tseries.api import guess_datetime_format

LONG = 1.5  # usual steps; a longer step is a gap
NAMES = {"t", "ts"}
WORDS = {"time", "timestamp", "datetime", "date"}


def is_time(name: str) -> bool:
    """Returns whether a column has the name of a time, such as `t`, `Time [s]` or `utc_time`."""
    return name.strip().lower() in NAMES or not WORDS.isdisjoint(re.split("[^a-z]+", name.lower()))


class TimeGaps:
    """The gaps in a column of times, found part by part.

    A gap is a step longer than `LONG` times the usual step, the median of the first steps. Numbers that fall and text without
    a clear format are not times, and have no gaps.
    """

    def __init__(self) -> None:
        self._is_time, self._format = True, ""
        self._is_date: bool | None = None  # until a time is found
        self._rows, self._values = np.empty(0, int), np.empty(0)  # the last time
        self._usual, self._count, self._first = 0.0, 0, (0, 0.0)

    @np.errstate(all="ignore")
    def update(self, times: pd.Series, start: int) -> None:
        """Searches the next part of the column.

        Args:
            times: Numbers, dates or text, (n,); missing ones are skipped.
            start: The row of the first.
        """
        try:
            values = self._convert(times) if self._is_time else None
        except Exception:  # of many kinds, and no reason not to read the recording
            values = None
        if values is None:
            self._is_time = False
            return
        present = np.flatnonzero(np.isfinite(values))
        rows, values = np.append(self._rows, start + present), np.append(self._values, values[present])
        steps = np.diff(values) / np.diff(rows)  # per row, since rows without a time are skipped
        if not self._usual and (steps > 0).any():
            self._usual = float(np.quantile(steps[steps > 0], 0.5, method="lower"))  # times of a coarse resolution repeat
        gaps = np.flatnonzero(steps > LONG * self._usual)
        if len(gaps) and not self._count:
            self._first = int(rows[gaps[0] + 1]), float(np.diff(values)[gaps[0]])
        self._count += len(gaps)
        self._rows, self._values = rows[-1:], values[-1:]
        self._is_time = bool(self._is_date) or not (steps < 0).any()  # clocks are set back, and times of day begin again

    def describe(self) -> str:
        """Returns how many gaps there are, and the first; "" if there are none."""
        if not self._is_time or not self._count:
            return ""
        row, gap = self._first
        size, usual = (str(timedelta(seconds=x)) if self._is_date else f"{x:g}" for x in (gap, self._usual))
        total = f"{self._count:,} gap{'s' * (self._count > 1)}"
        return f"{total}, the first before row {row} (from 0): a step of {size}, where {usual} is usual"

    def _convert(self, times: pd.Series) -> np.ndarray | None:
        """Converts times to numbers, dates to seconds, missing times to NaN; returns None if they are not times."""
        present = times.dropna()
        is_date = times.dtype.kind not in "fiu"
        if present.empty:
            return np.full(len(times), np.nan)
        if self._is_date not in (None, is_date):
            return None
        self._is_date = is_date
        if not is_date:
            return times.to_numpy(np.float64, na_value=np.nan)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._format = self._format or _guess_format(present.iloc[0])
            dates = pd.to_datetime(times, format=self._format, errors="coerce", utc=True)
        if dates.count() < len(present):
            return None
        return (dates - pd.Timestamp(0, tz="UTC")).dt.total_seconds().to_numpy()


def _guess_format(time: Any) -> str:
    """Returns the format of a date or time of day; raises ValueError if it has none, or day and month may be swapped."""
    if not isinstance(time, str) or re.match(r"\d{4}-\d\d-\d\d", time):
        return "ISO8601"
    if re.fullmatch(r"\d\d?:\d\d:\d\d(\.\d+)?", time):
        return "%H:%M:%S.%f" if "." in time else "%H:%M:%S"
    found = {guess_datetime_format(time, dayfirst=day_first) for day_first in (False, not time[:4].isdigit())}
    if len(found) > 1 or None in found:
        raise ValueError(f"{time!r} has no clear format")
    return found.pop()
