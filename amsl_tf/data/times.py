"""The times of a recording: its sampling period, gaps, and missing times."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from amsl_tf.data.findings import Findings
from amsl_tf.data.rows import Rows, join
from amsl_tf.errors import DataError

SAME_RATE = 0.1  # the largest difference of sampling periods that are equal up to jitter, relative
EXAMINED = 4096  # rows whose times determine the period
LONG = 3  # usual steps; a longer one is a gap between coarse times
COARSE = 0.2  # the share of repeated times from which on these have a coarser resolution than the rows
NANOSECONDS = 1e9


def find_period(time: np.ndarray | None) -> float | None:
    """Finds the sampling period of a recording from the times of its first rows, up to `EXAMINED`.

    Args:
        time: The times as in `Rows`, or None.

    Returns:
        The median step in seconds; where many times repeat, the mean over the rows from one new time to the next, without gaps.
        None if there are too few different times.
    """
    if time is None:
        return None
    rows = np.flatnonzero(~_is_missing(time[:EXAMINED]))
    steps = _steps(time[rows])
    rises = np.flatnonzero(steps > 0)
    if not len(rises):
        return None
    if np.mean(steps == 0) <= COARSE:
        return float(np.median((steps / np.diff(rows))[rises]))
    rows, steps = np.diff(rows[rises]), steps[rises]
    is_usual = steps <= LONG * np.median(steps)
    is_whole = is_usual[1:] & is_usual[:-1]  # between two new times without a gap before either
    return float(steps[1:][is_whole].sum() / rows[is_whole].sum()) if is_whole.any() else None


def mark_starts(
    parts: Iterable[Rows], findings: Findings, *, max_gap: float | None, expected: float | None, is_resampled: bool
) -> Iterator[Rows]:
    """Sets `starts` where a step between times is a gap or backwards; missing times continue the time before.

    Args:
        parts: The rows in consecutive parts.
        findings: The steps that are found are added to it.
        max_gap: The longest step in seconds that is not a gap; None for any.
        expected: The expected sampling period in seconds, or None.
        is_resampled: Whether the recording will be resampled to it, so that it may have another one.

    Raises:
        DataError: The recording has another sampling period than expected, or only missing times.
    """
    findings.steps, findings.places = {}, {}
    period: float | None = None
    previous: Rows | None = None  # the last row with its time
    known: Rows | None = None  # the last row whose time is not missing
    for part in _join_first(parts):
        if not len(part):
            continue
        starts = np.zeros(len(part), bool) if part.starts is None else part.starts.copy()
        starts[0] |= previous is None
        if part.time is not None:
            if previous is None:
                period = _check_period(part.time, expected, is_resampled, findings)
            is_known = ~_is_missing(part.time)
            time = _fill_times(part, is_known, known, period)
            known = part[np.flatnonzero(is_known)[-1] :][:1] if is_known.any() else known
            part = replace(part, time=time)
            before = time[:1] if previous is None or previous.time is None else previous.time
            steps = _steps(np.concatenate([before, time]))
            steps[0] = np.nan if previous is None else steps[0]
            is_gap = np.zeros(len(part), bool) if max_gap is None else steps > max_gap * (1 + 1e-9)
            for kind, found in (("gap", is_gap), ("repeated", steps == 0), ("backwards", steps < 0)):
                places = np.flatnonzero(found)
                if len(places):
                    findings.places.setdefault(kind, (int(part.row[places[0]]), float(steps[places[0]])))
                    findings.steps[kind] = findings.steps.get(kind, 0) + len(places)
            starts |= is_gap | (steps < 0)
        previous = part[-1:]
        yield replace(part, starts=starts)


def check_rising(name: str, time: np.ndarray) -> None:
    """Raises DataError if the times of a recording (rows,) do not rise, or one is missing."""
    falls = np.flatnonzero(~(time[1:] > time[:-1]))
    if len(falls):
        row = falls[0] + 1
        fault = "a repeated time" if time[row] == time[row - 1] else "a time that does not rise"
        raise DataError(
            f"{name}, row {row} (from 0): {fault}, {time[row]} after {time[row - 1]}. Sort the rows, and keep one for each "
            "time."
        )


def _join_first(parts: Iterable[Rows]) -> Iterator[Rows]:
    """Joins the first parts until they have a time, and enough rows to find the period; so these do not depend on the parts."""
    parts, first = iter(parts), None
    for part in parts:
        first = part if first is None else join(first, part)
        if first.time is None or (len(first) >= EXAMINED and not _is_missing(first.time).all()):
            break
    if first is not None:
        yield first
    yield from parts


def _is_missing(time: np.ndarray) -> np.ndarray:
    return ~np.isfinite(time)  # also of dates


def _steps(time: np.ndarray) -> np.ndarray:
    """Returns the steps between times (n,) in seconds, float64 (n - 1,)."""
    steps = np.diff(time)
    return steps / np.timedelta64(1, "s") if time.dtype.kind == "M" else steps


def _check_period(time: np.ndarray, expected: float | None, is_resampled: bool, findings: Findings) -> float | None:
    """Returns the period as found in the first times of a recording (n,), or if nothing is found as expected.

    Raises:
        DataError: It is another one than expected, and the recording is not resampled; or all times are missing.
    """
    if _is_missing(time).all():
        raise DataError(f"{findings.name}: expected times, found only missing ones. Name another column, or none.")
    period = find_period(time)
    if period is None:
        return expected
    if expected is None or abs(period - expected) <= SAME_RATE * expected:
        return period
    if is_resampled:
        findings.slower = (period, expected) if period > expected else None
        return period
    raise DataError(
        f"{findings.name}: expected a row every {expected:g} s, as in the recordings before; found one every "
        f"{period:g} s. Resample all to one rate (fit --resample), or this one to that of the detector (score --resample)."
    )


def _fill_times(part: Rows, is_known: np.ndarray, known: Rows | None, period: float | None) -> np.ndarray:
    """Replaces missing times, as of blank lines, by the known time before, or the first one, and the period."""
    assert part.time is not None
    if is_known.all():
        return part.time
    time, row = part.time[is_known], part.row[is_known]
    if known is not None and known.time is not None:
        time, row = np.concatenate([known.time, time]), np.concatenate([known.row, row])
    nearest = np.maximum(np.searchsorted(row, part.row, side="right") - 1, 0)
    seconds = (part.row - row[nearest]) * (period or 0.0)
    if time.dtype.kind == "M":
        return time[nearest] + np.rint(seconds * NANOSECONDS).astype("timedelta64[ns]")
    return time[nearest] + seconds
