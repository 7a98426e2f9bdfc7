"""Gaps in the times of a recording."""

import datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from amsl_tf.data.time_gaps import TimeGaps, is_time

DATES = pd.Series(pd.date_range("2024-01-13 23:59:50", periods=60, freq="s"))  # the day cannot be a month
DATES[24:] += pd.Timedelta(days=3)
DATES[50:] += pd.Timedelta(seconds=1)
SECONDS = (DATES - DATES[0]).dt.total_seconds()


def gaps_of(times, size=60):
    gaps = TimeGaps()
    for start in range(0, len(times), size):
        gaps.update(times.iloc[start : start + size], start)
    return gaps.describe()


@pytest.mark.parametrize("size", [1, 7, 24, 25, 60])
@pytest.mark.parametrize(
    "times",
    [
        DATES,
        DATES.dt.tz_localize("Europe/Berlin"),
        DATES.astype(str),
        DATES.map(datetime.datetime.isoformat),
        DATES.dt.strftime("%Y/%m/%d %H:%M:%S"),
        DATES.dt.strftime("%d.%m.%Y %H:%M:%S"),
        DATES.dt.strftime("%d-%b-%Y %H:%M:%S.000"),
        DATES.astype(str).where(DATES.index % 10 != 5),  # missing times are no gaps
    ],
)
def test_gaps_between_dates(times, size):
    assert gaps_of(times, size) == (
        "2 gaps, the first before row 24 (from 0): a step of 3 days, 0:00:01, where 0:00:01 is usual"
    )


@pytest.mark.parametrize("times", [SECONDS, SECONDS.astype(int), SECONDS.astype("Int64").where(SECONDS.index % 10 != 5)])
def test_gaps_between_numbers(times):
    assert gaps_of(times, 7) == "2 gaps, the first before row 24 (from 0): a step of 259201, where 1 is usual"


def test_times_of_day_begin_again_at_midnight():
    times = DATES.dt.strftime("%H:%M:%S")
    assert gaps_of(times, 7) == "1 gap, the first before row 50 (from 0): a step of 0:00:02, where 0:00:01 is usual"


def test_coarse_times_repeat():
    times = pd.Series(np.repeat([0, 1, 2, 5], 10))
    assert gaps_of(times) == "1 gap, the first before row 30 (from 0): a step of 3, where 1 is usual"


@pytest.mark.parametrize(
    "times",
    [
        DATES[:24],
        pd.Series([0, 1, 2.4, 3]),  # jitter
        pd.Series([20.5, 21.0, 25.0, 20.0]),  # temperatures
        pd.Series([0, 1, 9, "x"]),
        pd.Series(["a", "b"]),
        pd.Series(["2024-01-13", "x", "2024-01-19"]),
        pd.Series(["01.02.2024 23:59:59", "02.02.2024 00:00:00"]),  # day and month may be swapped
        pd.Series([True, False]),
        pd.Series([[1], {}]),
        pd.Series([Decimal("sNaN")]),
        pd.Series([None, np.nan, pd.NaT], dtype=object),
        pd.Series([np.inf, -np.inf, np.nan]),
        pd.Series([-1e308, 1e308]),
        pd.Series([], dtype=float),
        pd.Series(pd.to_timedelta([1, 2, 9], "s")),
        pd.Series(["2024-01-13", 5, datetime.date(2024, 1, 19)]),
    ],
)
@pytest.mark.parametrize("size", [1, 60])
def test_no_gaps(times, size):
    with np.errstate(all="raise"):
        assert gaps_of(times, size) == ""


def test_gap_of_centuries():
    times = pd.Series(["1700-01-01", "1700-01-02", "2100-01-01"])
    assert gaps_of(times).endswith("before row 2 (from 0): a step of 146096 days, 0:00:00, where 1 day, 0:00:00 is usual")


@pytest.mark.parametrize(("first", "second"), [("dates", "numbers"), ("numbers", "dates")])
def test_column_of_dates_and_numbers_is_no_time(first, second):
    parts = {"dates": pd.Series(["2024-01-13", "2024-01-14", "2024-01-19"]), "numbers": pd.Series([1.0, 2.0, 9.0])}
    gaps = TimeGaps()
    gaps.update(parts[first], 0)
    assert gaps.describe()
    gaps.update(parts[second], 3)
    assert not gaps.describe()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("time", True),
        (" Time [s]", True),
        ("utc_time", True),
        ("Timestamp", True),
        ("date", True),
        ("t", True),
        ("T", True),
        ("ts", True),
        ("t_oil", False),
        ("lifetime", False),
        ("x", False),
        ("", False),
    ],
)
def test_names_of_times(name, expected):
    assert is_time(name) == expected
