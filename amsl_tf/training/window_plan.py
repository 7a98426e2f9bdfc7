"""The plan by which training recordings are cut into windows, as given or proposed for the first of them."""

import logging
import math
from dataclasses import replace
from typing import Any

import numpy as np

from amsl_tf.checks import check_number
from amsl_tf.data.choices import Missing, ResampleBy
from amsl_tf.data.findings import Findings
from amsl_tf.data.lengths import describe_seconds, parse_length, to_rows
from amsl_tf.data.periods import DEFAULT_STEPS, MOST_ROWS, find_cycle, propose_steps
from amsl_tf.data.preparation import Preparation, default_max_gap, prepare
from amsl_tf.data.rows import Rows, join
from amsl_tf.data.source import Source
from amsl_tf.data.times import find_period
from amsl_tf.data.window_reader import WindowPlan
from amsl_tf.data.windows import MIN_STEPS
from amsl_tf.errors import DataError

log = logging.getLogger(__name__)

LEAST_PHASES = 8  # of a period at which windows should begin
FILL = 10  # the longest run of missing values that is interpolated is this part of a window


def plan_windows(
    source: Source,
    *,
    window: Any = None,
    stride: Any = None,
    rate: float | None = None,
    resample: Any = None,
    resample_by: ResampleBy = "mean",
    max_gap: Any = None,
    missing: Missing = "interpolate",
    max_fill: Any = None,
) -> WindowPlan:
    """Plans how recordings are cut into training windows; see `AMSLDetector.fit_recordings` for the other arguments.

    Args:
        source: The first recording, whose first rows tell the sampling period and, without `window`, the length of windows.

    Raises:
        AMSLError: An argument is invalid, or the recording cannot be read.
    """
    head = _read_head(source)
    period = _find_period(head, source.name, rate, resample)
    gap = None
    if max_gap is not None:
        gap = _to_seconds("max_gap", max_gap, None if head.time is None else period)
    default_gap, default_fill = default_max_gap(DEFAULT_STEPS, period), DEFAULT_STEPS // FILL
    given = Preparation(period, resample is not None, resample_by, gap or default_gap, missing, default_fill)
    if source.window_steps is not None:
        steps = step = _check_cut(source, window, stride)
    else:
        x = np.concatenate([part.x for part in prepare([head], given, Findings(source.name))])
        steps = _find_steps(x, window, period)
        step = _find_stride(x, stride, steps, period)
    fill = max(1, steps // FILL) if max_fill is None else to_rows("max_fill", max_fill, period, allow_zero=True)
    return WindowPlan(steps, step, replace(given, max_gap=gap or default_max_gap(steps, period), max_fill=fill))


def _read_head(source: Source) -> Rows:
    """Reads the first rows of a recording."""
    head: Rows | None = None
    for part in source.parts():
        head = part if head is None else join(head, part)
        if len(head) >= MOST_ROWS:
            break
    if head is None:
        raise DataError(f"{source.name}: expected rows, found none. Give a longer recording.")
    return head


def _find_period(head: Rows, name: str, rate: float | None, resample: Any) -> float | None:
    """Returns the seconds between rows, after resampling; None if they are not known."""
    found = find_period(head.time)
    if resample is not None:
        if found is None:
            raise DataError(f"{name}: expected times to resample, found none. Name their column, or do not resample.")
        return _to_seconds("resample", resample, found)
    return found if rate is None else 1 / check_number("rate", rate, 1e-9, 1e9)


def _to_seconds(name: str, value: Any, period: float | None) -> float:
    length = parse_length(name, value)
    if period is None:
        raise DataError(f"{name} needs a recording with times. Received: {value!r}. Name their column, or leave it out.")
    return length * period if isinstance(length, int) else length


def _check_cut(source: Source, window: Any, stride: Any) -> int:
    """Returns the rows of windows that are cut already. Raises DataError if others are given."""
    for name, value in (("window", window), ("stride", stride)):
        if value is not None and parse_length(name, value) != source.window_steps:
            raise DataError(
                f"{source.name}: holds windows of {source.window_steps} rows, which are not cut again. "
                f"Received: {name}={value!r}. Leave it out."
            )
    assert source.window_steps is not None
    return source.window_steps


def _find_steps(x: np.ndarray, window: Any, period: float | None) -> int:
    """Returns the rows of a window, as given, or proposed for the first rows of a recording (rows, C)."""
    if window is None:
        steps, reason = propose_steps(x)
        seconds = "" if period is None else f", {describe_seconds(steps * period)}"
        log.info(f"windows of {steps} rows{seconds}: {reason}. Another length can be given as window (--window).")
        return steps
    steps = to_rows("window", window, period)
    if steps < MIN_STEPS:
        raise DataError(
            f"window must have at least {MIN_STEPS} rows. Received: {window!r}, {steps} rows. Give a longer window."
        )
    return steps


def _find_stride(x: np.ndarray, stride: Any, steps: int, period: float | None) -> int:
    """Returns the rows between the starts of windows.

    By default it is the largest number up to a quarter of a window that shares no factor with the period of the channels: else
    windows would begin at a few phases of it only, and those at other phases would be unlike all of them.
    """
    cycle = find_cycle(x)
    if stride is None:
        most = max(1, steps // 4)
        return most if cycle is None else next(rows for rows in range(most, 0, -1) if math.gcd(rows, cycle) == 1)
    rows = to_rows("stride", stride, period)
    if cycle is not None and (phases := cycle // math.gcd(rows, cycle)) < min(LEAST_PHASES, cycle):
        log.warning(
            f"windows every {rows} rows begin at only {phases} phase{'s' * (phases > 1)} of the period of {cycle} rows: those "
            "at others may be flagged. Choose a stride that shares no factor with it."
        )
    return rows
