"""Resampling of recordings to a constant sampling period."""

from collections.abc import Iterable, Iterator

import numpy as np

from amsl_tf.data.choices import ResampleBy
from amsl_tf.data.rows import Rows, join
from amsl_tf.data.times import NANOSECONDS
from amsl_tf.errors import DataError

MOST_EMPTY = 10_000  # intervals without a row in a segment: more would only fill memory


def resample(parts: Iterable[Rows], period: float, by: ResampleBy, name: str) -> Iterator[Rows]:
    """Resamples rows to intervals of `period` seconds; intervals without a row in a segment are rows of missing values.

    A new segment begins after more than `MOST_EMPTY` of them.

    Args:
        parts: The rows in consecutive parts, with `starts`.
        period: The seconds between new rows, which begin at its multiples.
        by: The value of a channel in a new row, the `mean` of the rows in its interval, or the `last`.
        name: The name of the recording, for messages.

    Raises:
        DataError: The recording has no times.
    """
    rest: Rows | None = None
    for part in parts:
        if not len(part):
            continue
        if part.time is None:
            raise DataError(f"{name}: expected times to resample, found none. Name their column, or do not resample.")
        rest = part if rest is None else join(rest, part)
        yield _aggregate(rest, period, by)[:-1]  # the last interval may go on in the next part
        rest = rest[_begins(_intervals(rest.time, period), rest.starts)[-1] :]
    if rest is not None:
        yield _aggregate(rest, period, by)


def _intervals(time: np.ndarray | None, period: float) -> np.ndarray:
    """Returns the number of the interval of each time, int64."""
    assert time is not None
    if time.dtype.kind == "M":
        return time.astype("datetime64[ns]").astype(np.int64) // round(period * NANOSECONDS)
    return np.floor(time / period + 1e-6).astype(np.int64)  # times such as 0.3 are not exact


def _times(intervals: np.ndarray, period: float, like: np.ndarray) -> np.ndarray:
    """Inverts `_intervals`: the beginning of each interval, of the type of `like`."""
    if like.dtype.kind == "M":
        return (intervals * round(period * NANOSECONDS)).astype("datetime64[ns]")
    return intervals * period


def _begins(intervals: np.ndarray, starts: np.ndarray | None) -> np.ndarray:
    """Returns the positions at which a new interval or segment begins."""
    is_new = np.ones(len(intervals), bool)
    is_new[1:] = np.diff(intervals) != 0
    return np.flatnonzero(is_new | (False if starts is None else starts))


def _aggregate(rows: Rows, period: float, by: ResampleBy) -> Rows:
    """Makes a row of each interval, and rows of missing values of those without a row between two of a segment."""
    assert rows.time is not None
    assert rows.starts is not None
    intervals = _intervals(rows.time, period)
    begins = _begins(intervals, rows.starts)
    if by == "last":
        ends = np.append(begins[1:], len(rows)) - 1
        x = rows.x[ends]
    else:
        is_number = ~np.isnan(rows.x)
        sums = np.add.reduceat(np.where(is_number, rows.x, 0), begins, dtype=np.float64)
        counts = np.add.reduceat(is_number.astype(np.int64), begins)
        x = np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0).astype(np.float32)
    starts, own = rows.starts[begins], intervals[begins]
    starts[1:] |= np.diff(own) > MOST_EMPTY
    between = np.where(starts[1:], 1, np.diff(own))  # intervals from each row to the next
    places = np.concatenate([[0], np.cumsum(between)]).astype(np.int64)
    size = int(places[-1]) + 1
    filled = np.full((size, x.shape[1]), np.nan, np.float32)
    filled[places] = x
    source = np.searchsorted(places, np.arange(size), side="right") - 1  # the row before, for inserted ones
    is_start = np.zeros(size, bool)
    is_start[places] = starts
    label = None
    if rows.label is not None:
        label = np.maximum.reduceat(rows.label, begins)[source]
    times = _times(own[source] + np.arange(size) - places[source], period, rows.time)
    return Rows(filled, rows.row[begins][source], times, label, is_start)
