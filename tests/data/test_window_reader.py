"""Windows of recordings: by hand, and that parts do not matter."""

import itertools
import logging
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amsl_tf.data import array_files, window_reader
from amsl_tf.data.findings import Findings
from amsl_tf.data.preparation import Preparation
from amsl_tf.data.recording_files import open_recording
from amsl_tf.data.recordings import Recording
from amsl_tf.data.rows import Rows
from amsl_tf.data.window_reader import WindowBatch, WindowPlan, cut, read_any_windows, read_windows
from amsl_tf.errors import DataError

NAN = np.nan
DAY = np.datetime64("2024-03-31", "ns")  # clocks go forward in Berlin


def make_rows(count, starts=(), times=None, label=None):
    """Makes rows whose two channels are their number and its double."""
    row = np.arange(count)
    is_start = np.isin(row, [0, *starts])
    return Rows(np.stack([row, 2.0 * row], axis=1), row + 100, times, label, is_start)


def join(batches):
    columns = ([getattr(batch, item.name) for batch in batches] for item in fields(WindowBatch))
    return WindowBatch(*(None if column[0] is None else np.concatenate(column) for column in columns))


def test_windows_by_hand():
    """Windows of 3 rows every 2 rows of the segments 0 to 6 and 7 to 10; one of 2 rows has none."""
    label = np.array([0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0], np.int8)
    found = join(list(cut([make_rows(13, [7, 11], np.arange(13.0) / 2, label)], 3, 2)))
    assert found.x[:, 0, 0].tolist() == [0, 2, 4, 7]
    assert found.x[1].tolist() == [[2, 4], [3, 6], [4, 8]]
    assert found.x.dtype == np.float32
    assert found.rows.tolist() == [[100, 101, 102], [102, 103, 104], [104, 105, 106], [107, 108, 109]]
    assert found.place.tolist() == [0, 2, 4, 0]
    assert found.starts.tolist() == [True, False, False, True]
    assert (found.start.tolist(), found.end.tolist()) == ([0, 1, 2, 3.5], [1, 2, 3, 4.5])
    assert found.label.tolist() == [0, 0, 1, 0]
    chosen = found[[3, 0]]
    assert (len(chosen), chosen.place.tolist(), chosen.rows[:, 0].tolist()) == (2, [0, 0], [107, 100])


def test_stride_longer_than_a_window():
    found = join(list(cut([make_rows(30, [22])], 3, 9)))
    assert found.rows[:, 0].tolist() == [100, 109, 118, 122]
    assert found.place.tolist() == [0, 9, 18, 0]
    assert (found.times, found.label, found.start) == (None, None, None)


def test_short_recordings_have_no_window():
    assert not list(cut([make_rows(19)], 20, 1))
    assert not list(cut([make_rows(30, [15])], 20, 1))
    assert not list(cut([], 20, 1))


@settings(max_examples=80, deadline=None)
@given(
    steps=st.integers(1, 25),
    stride=st.integers(1, 40),
    starts=st.lists(st.integers(0, 102), max_size=4),
    cuts=st.lists(st.integers(0, 103), max_size=8).map(sorted),
)
def test_parts_do_not_matter(steps, stride, starts, cuts):
    rows = make_rows(103, starts, DAY + np.arange(103), np.arange(103) % 9 == 0)
    edges = [0, *cuts, 103]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(window_reader, "BATCH", 3)
        found = list(cut([rows[low:high] for low, high in itertools.pairwise(edges)], steps, stride))
    edges = [*np.flatnonzero(rows.starts), 103]
    expected = [row for low, high in itertools.pairwise(edges) for row in range(low, high - steps + 1, stride)]
    assert sum(map(len, found)) == len(expected)
    assert all(len(batch) >= 3 for batch in found[:-1])
    if not expected:
        return
    windows = join(found)
    assert windows.rows[:, 0].tolist() == [100 + row for row in expected]
    places = np.array(expected)[:, None] + np.arange(steps)
    np.testing.assert_array_equal(windows.x, rows.x[places])
    np.testing.assert_array_equal(windows.rows, rows.row[places])
    np.testing.assert_array_equal(windows.times, rows.time[places])
    np.testing.assert_array_equal(windows.label, rows.label[places].max(axis=1))
    segment = np.cumsum(rows.starts)[expected]
    begins = np.array([np.flatnonzero(np.cumsum(rows.starts) == number)[0] for number in segment])
    np.testing.assert_array_equal(windows.place, expected - begins)
    np.testing.assert_array_equal(windows.starts, windows.place == 0)


def test_read_windows_of_a_recording(caplog):
    caplog.set_level(logging.INFO)
    time = np.arange(12.0)
    time[6:] += 50
    recording = Recording([[0.0], [1], [NAN], *([row] for row in range(3, 12))], "a.csv", time=time)
    found = join(list(read_windows(recording, WindowPlan(3, 2, Preparation(max_gap=5, max_fill=1)))))
    assert found.rows[:, 0].tolist() == [0, 2, 6, 8]
    assert found.x[1, 0, 0] == 2
    assert caplog.messages == [
        "a.csv: 1 gap in time: 51 s before row 6 (from 0); longer than --max-gap: no window spans it.",
        "a.csv: 1 missing value was interpolated.",
    ]


def test_too_short_recordings_are_errors():
    recording = Recording(np.zeros((12, 1)), "a.csv", time=[*range(6), *range(50, 56)])
    for steps, gaps in ((13, ""), (7, " without a gap or a step back in time")):
        message = rf"a.csv: expected at least {steps} rows{gaps}, the length of a window, found 12. Give a longer recording"
        with pytest.raises(DataError, match=message):
            list(read_windows(recording, WindowPlan(steps, 1, Preparation(max_gap=5 if gaps else None))))
    assert not list(read_any_windows(recording, WindowPlan(13, 1), Findings("a.csv")))


@pytest.fixture
def windows_file(tmp_path, rng, monkeypatch):
    """Five windows of 16 steps with a missing value at the beginning of the second, and one within the third."""
    monkeypatch.setattr(array_files, "ROWS", 40)
    windows = rng.normal(size=(5, 16, 2)).astype(np.float32)
    windows[1, 0, 0] = windows[2, 5, 1] = NAN
    np.save(tmp_path / "windows.npy", windows)
    return open_recording(tmp_path / "windows.npy"), windows


def test_windows_in_an_array_are_not_cut_again(windows_file):
    """Values are not interpolated, as those of the window before may be of another time."""
    recording, windows = windows_file
    for stride in (1, 16, 40):
        found = join(list(read_windows(recording, WindowPlan(16, stride, Preparation(max_fill=3)))))
        np.testing.assert_array_equal(found.x, windows)
        assert found.place.tolist() == found.rows[:, 0].tolist() == [0, 16, 32, 48, 64]
        assert found.starts.all()  # no event is of several windows
    with pytest.raises(DataError, match=r"windows.npy: expected windows of 25 time steps. Received: 16 time steps"):
        list(read_windows(recording, WindowPlan(25, 1)))
