"""Windows found by number and time, by hand."""

import numpy as np
import pytest

from amsl_tf.data.window_reader import cut
from amsl_tf.data.window_search import describe_times, find_window
from amsl_tf.errors import DataError
from tests.data.test_window_reader import DAY, join, make_rows


def batches(times=None, size=4):
    """Makes windows of 3 rows from every row of 12, in batches."""
    whole = join(list(cut([make_rows(12, times=times)], 3, 1)))
    return [whole[np.arange(first, min(first + size, 10))] for first in range(0, 10, size)]


def test_find_window_by_number():
    for number in (0, 3, 4, 9):
        found, window = find_window(batches(), number)
        assert (found, len(window), window.rows[0, 0]) == (number, 1, 100 + number)
    for number in (10, -1):
        with pytest.raises(DataError, match=rf"there is no window {number}\. There are 10, counted from 0"):
            find_window(batches(), number)


@pytest.mark.parametrize(("time", "expected"), [("0", 0), ("5", 4), ("5.4", 4), ("5.6", 5), ("11", 9)])
def test_find_window_by_seconds(time, expected):
    """The middle of window i is at i + 1 seconds."""
    found, window = find_window(batches(np.arange(12.0)), time=time)
    assert (found, window.rows[0, 0]) == (expected, 100 + expected)


@pytest.mark.parametrize(
    ("time", "zone", "expected"),
    [
        ("2024-03-31 05:00", None, 4),
        ("2024-03-31 05:29", None, 4),
        ("2024-03-31T05:00:00Z", "Europe/Berlin", 4),
        ("2024-03-31T07:00:00+02:00", None, 4),
        ("2024-03-31 07:00", "Europe/Berlin", 4),
        ("2024-03-31 07:00", "+02:00", 4),
        ("2024-03-31 02:30", "Europe/Berlin", 0),  # between clock changes: 01:00 in UTC
    ],
)
def test_find_window_by_date(time, zone, expected):
    times = DAY + np.arange(12) * np.timedelta64(1, "h")
    assert find_window(batches(times), time=time, zone=zone)[0] == expected


@pytest.mark.parametrize(
    ("times", "time", "message"),
    [
        (np.arange(12.0), "-0.1", "no window holds the time -0.1. Give a time within the recording"),
        (np.arange(12.0), "11.1", "no window holds the time 11.1"),
        (DAY + np.arange(12), "2030-01-01", "no window holds the time 2030-01-01"),
        (None, "3", "the recording has no times. Give the number of a window"),
        (np.arange(12.0), "noon", "expected a time such as those of the recording. Received: 'noon'"),
        (np.arange(12.0), "nan", "expected a time such as those of the recording. Received: 'nan'"),
        (DAY + np.arange(12), "noon?", "expected a time such as those of the recording. Received: 'noon?'"),
        (DAY + np.arange(12), "NaT", "expected a time such as those of the recording. Received: 'NaT'"),
        (DAY + np.arange(12), "9999-01-01", "expected a time such as those of the recording. Received: '9999"),
    ],
)
def test_times_that_are_not_found(times, time, message):
    with pytest.raises(DataError) as error:
        find_window(batches(times), time=time)
    assert message in str(error.value)


def test_times_of_a_window():
    _, window = find_window(batches(np.arange(12) / 2), 1)
    assert describe_times(window, None) == ("0.5 s", "1.5 s")
    _, window = find_window(batches(), 1)
    assert describe_times(window, None) is None
