"""Times in the words of recordings, by hand."""

import numpy as np
import pytest

from amsl_tf.data.time_zones import describe_time

START = np.datetime64("2024-03-30T23:00", "ns")


@pytest.mark.parametrize(
    ("time", "zone", "expected"),
    [
        (START, None, "2024-03-30 23:00:00"),
        (START + np.timedelta64(250, "ms"), None, "2024-03-30 23:00:00.25"),
        (START, "Europe/Berlin", "2024-03-31 00:00:00+01:00"),
        (START + np.timedelta64(3, "h"), "Europe/Berlin", "2024-03-31 04:00:00+02:00"),  # summer time
        (START, "+05:30", "2024-03-31 04:30:00+05:30"),
        (0.1 + 0.2, None, "0.3 s"),
        (np.float64(1_700_000_000.25), None, "1700000000.25 s"),
    ],
)
def test_times_in_words(time, zone, expected):
    assert describe_time(time, zone) == expected
