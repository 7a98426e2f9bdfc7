"""Finished parts of a scoring job: what is read is what was written."""

import numpy as np
import pytest

from amsl_tf.scale.parts import Parts
from amsl_tf.scoring.events import Event
from amsl_tf.scoring.recording_table import RecordingTable

KEY = ("3.csv", 30, 7)
START = np.datetime64("2024-03-31T00:59:59.123456789", "ns")


def make_event(start, end, **settings):
    values = {
        "p_value": 0.25,
        "channels": {"a": 1.5, "b": float("nan")},
        "health": {"b": "missing"},
        "members": {"shape": -2.0},
    }
    places = {"recording": "ünit 1", "first_row": 3, "last_row": 8, "start": start, "end": end}
    return Event(**{**places, "windows": 2, "peak_score": 0.1, "peak_row": 4, **values, **settings})


def make_table(name, events=(), zone=None, **columns):
    parts = [{"score": np.float32([0.1, np.nan]), **columns}]
    return RecordingTable(name, ("a", "b"), parts, zone, 2, 1, 1, [*events])


TABLES = {
    7: make_table(
        "dates",
        [make_event(START, START + np.timedelta64(1, "h")), make_event(START, START, peak_score=float("nan"))],
        "Europe/Berlin",
        start=np.array([START, np.datetime64("NaT")]),
        health=np.int32([[0, 1], [2, 0]]),
    ),
    3: make_table("seconds", [make_event(0.1, 1e9 + 0.1)], start=np.array([0.1, np.nan])),
    12: make_table("none", [make_event(None, None, health={}, channels={})], is_anomaly=np.array([True, False])),
    10: make_table("no events"),
}


def assert_same(found, expected):
    assert repr(found.events) == repr(expected.events)
    assert [type(event.start) for event in found.events] == [type(event.start) for event in expected.events]
    for name in ("name", "channel_names", "time_zone", "windows", "flagged", "incomplete"):
        assert getattr(found, name) == getattr(expected, name)
    (columns,), (wanted,) = found.parts, expected.parts
    assert list(columns) == list(wanted)
    for name, values in wanted.items():
        assert columns[name].dtype == values.dtype
        np.testing.assert_array_equal(columns[name], values)


@pytest.mark.parametrize("is_read_again", [False, True])
def test_tables_are_read_in_order(tmp_path, is_read_again):
    parts = Parts(tmp_path)
    assert (parts.time_zones(TABLES), list(parts.tables(TABLES))) == (set(), [])
    keys = {number: (f"{number}.csv", 10 * number, 7) for number in TABLES}
    for numbers in ((12, 3), (7,), (10,)):
        parts.write({keys[number]: TABLES[number] for number in numbers})
    if is_read_again:
        parts = Parts(tmp_path)
    asked = [keys[3], keys[7], ("7.csv", 70, 8), keys[10], keys[12]]  # the third has changed
    assert [key in parts for key in asked] == [True, True, False, True, True]
    assert parts.time_zones(asked) == {None, "Europe/Berlin"}
    assert parts.time_zones(asked[:1]) == {None}
    for found, number in zip(parts.tables(asked), (3, 7, 10, 12), strict=True):
        assert_same(found, TABLES[number])
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize("damage", [lambda content: b"", lambda content: content[:-30], lambda content: b"x" * len(content)])
def test_part_that_is_damaged_is_removed(tmp_path, caplog, damage):
    parts = Parts(tmp_path)
    parts.write({("a", 1, 1): TABLES[3]})
    (file,) = tmp_path.iterdir()
    file.write_bytes(damage(file.read_bytes()))
    parts.write({("b", 1, 1): TABLES[7]})
    parts = Parts(tmp_path)
    assert [key in parts for key in (("a", 1, 1), ("b", 1, 1))] == [False, True]
    assert not file.exists()
    assert caplog.messages[0].startswith(f"{file}: is damaged (")


def test_part_that_is_not_complete_is_not_there(tmp_path, monkeypatch):
    def interrupt(file, **columns):
        file.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez", interrupt)
    parts = Parts(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        parts.write({KEY: TABLES[3]})
    assert list(tmp_path.iterdir()) == []
    assert KEY not in parts
    assert KEY not in Parts(tmp_path)
