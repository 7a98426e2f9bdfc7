"""Events against values worked out by hand, and by properties."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from amsl_tf.errors import AMSLError
from amsl_tf.scoring.events import Event, MergeRule, events_table, group_events

RULE = MergeRule()
NAMES = ("Pressure", "Current")
EVENT = Event(
    "a.csv", 10, 19, None, None, 2, 3.5, 12, 0.25, {"Pressure": 1.234, "Current": 0.4}, {"signal": 2}, {"Pressure": "dead"}
)


def group(first_row, flags, rule=RULE, segment=None, steps=4):
    first_row, flags = np.array(first_row), np.array(flags, bool)
    segment = np.zeros(len(flags), int) if segment is None else np.array(segment)
    return group_events(first_row, first_row + steps - 1, flags, segment, rule).tolist()


@pytest.mark.parametrize(
    ("first_row", "flags", "rule", "expected"),
    [
        ([0, 2, 4, 6, 8], [1, 1, 0, 0, 1], MergeRule(), [0, 0, -1, -1, 1]),  # rows 0 to 5, and 8 to 11
        ([0, 2, 4, 6, 8], [1, 0, 1, 0, 0], MergeRule(), [0, -1, 0, -1, -1]),  # rows 0 to 3 and 4 to 7 touch
        ([0, 4, 5, 9], [1, 0, 1, 0], MergeRule(), [0, -1, 1, -1]),  # row 4 lies between
        ([0, 4, 5, 9], [1, 0, 1, 0], MergeRule(merge_rows=1), [0, -1, 0, -1]),
        ([0, 2, 4, 9], [1, 1, 0, 1], MergeRule(min_windows=2), [0, 0, -1, -1]),
        ([0, 9, 11], [1, 1, 1], MergeRule(min_rows=5), [-1, 0, 0]),
        ([0, 9, 11], [1, 1, 1], MergeRule(min_rows=7), [-1, -1, -1]),
        ([0, 4], [0, 0], MergeRule(), [-1, -1]),
        ([], [], MergeRule(), []),
    ],
)
def test_grouping(first_row, flags, rule, expected):
    assert group(first_row, flags, rule) == expected


def test_segments_are_never_merged():
    assert group([0, 4, 8, 12], [1, 1, 1, 1], MergeRule(merge_rows=100), [0, 0, 1, 1]) == [0, 0, 1, 1]
    assert group([50, 0, 2], [1, 1, 1], segment=[0, 1, 1]) == [0, 1, 1]  # rows of another file begin again


@pytest.mark.parametrize("values", [{"min_windows": 0}, {"merge_rows": -1}, {"min_rows": 0}, {"min_windows": 1.5}])
def test_invalid_rules(values):
    with pytest.raises(AMSLError, match=f"{next(iter(values))} must be an integer"):
        MergeRule(**values)


def test_table():
    times = {"start": np.datetime64("2024-07-01T10:00:00", "ns"), "end": np.datetime64("2024-07-01T10:00:01.5", "ns")}
    dates = replace(EVENT, **times, channels={"a": 4, "b": 3, "c": 2, "d": 1})  # the largest three are named
    table = events_table([EVENT, dates], time_zone="Europe/Berlin")
    assert table == {
        "file": ["a.csv"] * 2,
        "start": [10, pd.Timestamp("2024-07-01T12:00:00+02:00")],
        "end": [19, pd.Timestamp("2024-07-01T12:00:01.5+02:00")],
        "first_row": [10] * 2,
        "last_row": [19] * 2,
        "duration": [10, 1.5],
        "windows": [2] * 2,
        "peak_score": [3.5] * 2,
        "p_value": [0.25] * 2,
        "channels": ["Pressure 1.23; Current 0.4", "a 4; b 3; c 2"],
        "members": ["signal 2"] * 2,
        "health": ["Pressure dead"] * 2,
    }
    assert events_table([]) == {name: [] for name in table}


@pytest.mark.parametrize(
    ("start", "end", "time_zone", "expected"),
    [
        (None, None, None, (None, None, 10)),
        (1.0, 3.5, None, (1.0, 3.5, 2.5)),
        (np.nan, 3.5, None, (None, 3.5, None)),
        ("2024-07-01T10:00", "2024-07-01T10:00:02", None, ("2024-07-01T10:00:00", "2024-07-01T10:00:02", 2.0)),
        ("2024-07-01T23:00", "NaT", "Europe/Berlin", ("2024-07-02T01:00:00+02:00", None, None)),
    ],
)
def test_json(start, end, time_zone, expected):
    start, end = (np.datetime64(time, "ns") if isinstance(time, str) else time for time in (start, end))
    values = json.loads(json.dumps(replace(EVENT, start=start, end=end, p_value=np.nan).to_dict(time_zone), allow_nan=False))
    assert (values["start"], values["end"], values["duration"]) == expected
    assert values["p_value"] is None
    assert values["channels"] == {"Pressure": 1.234, "Current": 0.4}
