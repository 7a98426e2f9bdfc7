"""Lengths in rows and in time, by hand."""

import logging
from datetime import timedelta

import numpy as np
import pytest

from amsl_tf.data.lengths import describe_seconds, parse_length, to_rows
from amsl_tf.errors import DataError


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (100, 100),
        (np.int64(100), 100),
        (" 100 ", 100),
        ("2s", 2.0),
        ("2 s", 2.0),
        ("500ms", 0.5),
        ("20us", 2e-5),
        ("1min", 60.0),
        ("1.5 h", 5400.0),
        ("1d", 86_400.0),
        ("2 Weeks", 1_209_600.0),
        ("3 hours", 10_800.0),
        ("1min 30.5s", 90.5),
        ("1h2min", 3720.0),
        (".5 sec", 0.5),
        (timedelta(milliseconds=250), 0.25),
    ],
)
def test_lengths(value, expected):
    found = parse_length("window", value)
    assert found == pytest.approx(expected)
    assert type(found) is type(expected)  # rows or seconds


@pytest.mark.parametrize(
    "value",
    [
        *(0, -1, "0", "0s", "-2s", "1.5", "2 parsecs", "1M", "", "nan", "NaT", 2.0, True, None, [], 10**400, "9" * 400),
        *("9" * 5000, "9" * 400 + "s", "1,5", "s", "1 min 30", "1.2.3s", "1e3s", "00:00:02", "1min, 30s", "60,5 parsecs"),
    ],
)
def test_others_are_errors(value):
    with pytest.raises(DataError, match=r"window must be a number of rows or a time, above 0. Received: ") as error:
        parse_length("window", value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("length", "period", "expected"),
    [
        (100, None, 100),
        (100, 0.02, 100),
        ("2s", 0.02, 100),
        ("1s", 1 / 3, 3),
        ("1s", 0.333, 3),
        ("20ms", 0.02, 1),
        ("1min", 60.3, 1),
        ("1.03s", 0.02, 52),
    ],
)
def test_rows(length, period, expected):
    assert to_rows("stride", length, period) == expected


@pytest.mark.parametrize(("value", "point"), [("60,5s", "60.5s"), (" 1,5 h", "1.5 h"), ("1,000s", "1.000s")])
def test_decimal_commas_are_errors(value, point):
    with pytest.raises(DataError, match=rf"Received: '{value}'. If the comma is a decimal one, write {point}\."):
        parse_length("window", value)


@pytest.mark.parametrize(
    ("length", "period", "rows", "message"),
    [
        ("60.5s", 1, 60, "window: 60.5 s is rounded to 60 rows, 60 s"),
        ("1.03s", 0.02, 52, "window: 1.03 s is rounded to 52 rows, 1.04 s"),
        ("60.1s", 1, 60, ""),
        ("5s", 0.09993, 50, ""),  # an estimated period
        ("60s", 1, 60, ""),
    ],
)
def test_rounding_is_logged(length, period, rows, message, caplog):
    caplog.set_level(logging.INFO)
    assert to_rows("window", length, period) == rows
    assert caplog.messages == ([message] if message else [])


@pytest.mark.parametrize("zero", [0, "0", "0s"])
def test_zero_is_a_length_where_it_is_allowed(zero):
    assert to_rows("max_fill", zero, 0.02, allow_zero=True) == 0
    with pytest.raises(DataError, match=r"max_fill must be a number of rows or a time, 0 or more. Received: -1"):
        to_rows("max_fill", -1, 0.02, allow_zero=True)


@pytest.mark.parametrize("length", [0.03, 0.0001, 0.029])
def test_times_between_rows_are_errors(length):
    with pytest.raises(
        DataError, match=rf"stride must be a whole number of rows, which are 0.02 s apart. Received: {length} s"
    ):
        to_rows("stride", timedelta(seconds=length), 0.02)


def test_times_need_a_sampling_period():
    with pytest.raises(DataError, match=r"stride is a time, 2 s, but the recording has no times. Give stride in rows, or the"):
        to_rows("stride", "2s", None)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.0012, "0.0012 s"),
        (1.234, "1.23 s"),
        (60, "1 min"),
        (200.2, "3 min 20 s"),
        (3600, "1 h"),
        (3605, "1 h 5 s"),
        (86_400, "1 day"),
        (86_400 * 2 + 4 * 3600 + 59, "2 days 4 h"),
        (86_400 * 1234, "1,234 days"),
    ],
)
def test_durations_in_words(seconds, expected):
    assert describe_seconds(seconds) == expected
