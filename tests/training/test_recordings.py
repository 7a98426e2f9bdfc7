"""Training windows of recordings, by hand."""

import logging

import numpy as np
import pandas as pd
import pytest

from amsl_tf.data.pieces import find_pieces, make_pieces
from amsl_tf.data.recordings import Recording, Recordings
from amsl_tf.detector import AMSLDetector
from amsl_tf.errors import AMSLError, DataError
from amsl_tf.training import recordings as training
from amsl_tf.training import window_plan
from amsl_tf.training.recordings import collect_windows
from amsl_tf.training.window_plan import plan_windows

NAN = np.nan


def record(count=200, name="a/0.csv", rate=10.0, first=0.0, label=None, values=None, names=("x", "y")):
    """Makes a recording of waves with a period of 20 rows, times and two channels; `values` replace rows of the first one."""
    row = np.arange(count)
    x = np.stack([np.sin(2 * np.pi * row / 20), np.cos(2 * np.pi * row / 20)], axis=1)
    for place, value in (values or {}).items():
        x[place, 0] = value
    time = None if rate is None else first + row / rate
    return Recording(x, name, label=label, time=time, channel_names=names)


def collect(*recordings, groups="file", **settings):
    return collect_windows(Recordings(recordings), plan_windows(recordings[0], **settings), groups)


def test_defaults_follow_from_the_recording(caplog):
    caplog.set_level(logging.INFO)
    found = collect(record(1000))
    assert found.x.shape == (107, 40, 2)  # two periods, every 9 rows: 10 would begin at two phases of the period only
    np.testing.assert_array_equal(found.x[3], record(1000).x[27:67])
    assert found.row.tolist() == list(range(0, 963, 9))
    assert not found.segment.any()
    assert found.channel_names == ("x", "y")
    assert found.metadata == {
        "period": pytest.approx(0.1),
        "resample": False,
        "resample_by": "mean",
        "max_gap": pytest.approx(1.0),
        "missing": "interpolate",
        "max_fill": 4,
        "stride": 9,
        "time_name": None,
        "left_out": "piece",
        "recordings": 1,
        "rows": 1000,
        "filled": 0,
        "missing_windows": 0,
        "abnormal_windows": 0,
    }
    assert caplog.messages == [
        "windows of 40 rows, 4 s: two periods of 20 rows. Another length can be given as window (--window)."
    ]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"window": 30, "stride": 7}, (30, 7, 0.8, 3)),
        ({"window": "3s", "stride": "500ms"}, (30, 5, 0.8, 3)),
        ({"window": 16}, (16, 3, 0.4, 1)),
        ({"window": 20, "max_gap": "5s", "max_fill": "300ms"}, (20, 3, 5.0, 3)),
        ({"window": 20, "max_gap": 3, "max_fill": 7}, (20, 3, 0.3, 7)),
    ],
)
def test_lengths_in_rows_and_in_time(settings, expected):
    found = collect(record(), **settings)
    about = found.metadata
    assert (found.x.shape[1], about["stride"], about["max_gap"], about["max_fill"]) == pytest.approx(expected)


def test_recordings_without_times():
    about = collect(record(rate=None), window=20).metadata
    assert (about["period"], about["max_gap"], about["stride"]) == (None, None, 3)
    about = collect(record(rate=None), window="2s", rate=8).metadata
    assert (about["period"], about["max_gap"], about["stride"]) == (0.125, 0.5, 3)
    for name, value in (("max_gap", "2s"), ("max_gap", 3), ("resample", "1s")):
        with pytest.raises(DataError, match="times"):
            collect(record(rate=None), window=20, **{name: value})
    with pytest.raises(DataError, match="max_gap needs a recording with times"):
        collect(record(rate=None), window=20, max_gap="2s", rate=10)
    with pytest.raises(DataError, match="window is a time, 2 s, but the recording has no times"):
        collect(record(rate=None), window="2s")


def test_groups_are_files_folders_or_given():
    recordings = [record(60, name) for name in ("a/0.csv", "a/1.csv", "b/0.csv", "c/0.csv")]
    found = collect(*recordings, window=20, stride=5)  # 9 windows of each
    assert found.groups.tolist() == np.repeat(["a/0.csv", "a/1.csv", "b/0.csv", "c/0.csv"], 9).tolist()
    assert found.pieces is None
    assert found.segment.tolist() == np.repeat(range(4), 9).tolist()
    assert collect(*recordings, window=20, stride=5, groups="folder").groups.tolist() == ["a"] * 18 + ["b"] * 9 + ["c"] * 9
    assert (
        collect(*recordings, window=20, stride=5, groups=pd.Series([3, 1, 1, 2])).groups.tolist()
        == [3] * 9 + [1] * 18 + [2] * 9
    )
    for groups in ("folder", "file"):
        found = collect(*recordings[:2], window=20, stride=5, groups=groups)  # too few to leave one out
        assert found.groups is None
        expected = make_pieces(18, 20, 5)
        for name, values in found.pieces._asdict().items():
            np.testing.assert_array_equal(values, getattr(expected, name))


class Broken:
    """A recording that can be opened, and not read."""

    name, channel_names = "0.csv", ("x", "y")
    window_steps = time_name = time_zone = None

    def parts(self):
        raise DataError("0.csv: is broken.")


def test_groups_of_recordings_that_are_left_out():
    """Groups are given for all recordings, also for those that turn out to be unusable; these are listed in order."""

    def check(source):
        if source.name == "2.csv":
            raise DataError("2.csv: does not fit.")

    given = [Broken(), *(record(60, f"{number}.csv") for number in range(1, 6))]
    skipped = []
    opened = Recordings.of(given, check=check, skipped=skipped)
    plan = plan_windows(given[1], window=20, stride=5)
    found = collect_windows(opened, plan, [9, 8, 7, 6, 6, 5], skipped)
    assert found.groups.tolist() == np.repeat([8, 6, 6, 5], 9).tolist()
    assert skipped == [(0, "0.csv", "0.csv: is broken."), (2, "2.csv", "2.csv: does not fit.")]
    with pytest.raises(DataError, match="or a group for each of 6 recordings"):
        collect_windows(opened, plan, [9, 8, 7, 6, 6], skipped)


@pytest.mark.parametrize("groups", ["unit", [1, 2], 3])
def test_invalid_groups(groups):
    with pytest.raises(AMSLError, match="groups must be one of"):
        collect(record(), window=20, groups=groups)


def test_windows_left_out_are_counted(caplog):
    """Rows 20 to 22 are missing, more than the two that are filled, as are 60 and 61; rows 21 and 100 are abnormal."""
    caplog.set_level(logging.INFO)
    values = dict.fromkeys((20, 21, 22, 60, 61), NAN)
    found = collect(record(120, values=values, label=np.isin(np.arange(120), [21, 100])), window=20, stride=20)
    assert caplog.messages[0].startswith("windows every 20 rows begin at only 1 phase of the period of 20 rows")
    assert found.row.tolist() == [0, 40, 60, 80]
    assert np.isfinite(found.x).all()
    about = found.metadata
    counts = {name: about[name] for name in ("rows", "filled", "missing_windows", "abnormal_windows")}
    assert counts == {"rows": 120, "filled": 2, "missing_windows": 1, "abnormal_windows": 1}
    assert caplog.messages[1:] == [
        "a/0.csv: 2 missing values were interpolated.",
        "a/0.csv: 3 missing values are left, as runs exceed --max-fill: the channels are missing in these windows.",
        "1 of 6 windows have missing values: left out.",
        "1 of 6 windows hold rows labelled abnormal: left out.",
    ]
    with pytest.raises(DataError, match=r"a/0.csv, row 20, channel 0 \(counted from 0\): expected a number, found a missing"):
        collect(record(120, values=values), window=20, missing="refuse")


def test_segments_and_rows(caplog):
    """The first recording has a gap before row 50, and the second one is too short."""
    gap = record(100)
    gap.time[50:] += 9
    found = collect(gap, record(19, "a/1.csv"), record(40, "a/2.csv"), window=20, stride=10)
    assert found.segment.tolist() == [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2]
    assert found.row.tolist() == [0, 10, 20, 30, 0, 10, 20, 30, 0, 10, 20]
    np.testing.assert_array_equal(found.x[5], gap.x[60:80])
    assert "a/1.csv: no window of 20 rows, of 19 rows without a gap: left out." in caplog.messages
    assert len(collect(gap, window=20, stride=10, max_gap="1min").x) == 9
    assert len(collect(gap, window=20, stride=10, max_gap=200).x) == 9


def test_other_sampling_rates():
    others = [record(name="a/0.csv"), record(name="a/1.csv", rate=5.0)]
    with pytest.raises(
        DataError, match=r"a/1.csv: expected a row every 0.1 s, as in the recordings before; found one every 0.2"
    ):
        collect(*others, window=20)
    with pytest.raises(DataError, match=r"a/0.csv: expected a row every 0.05 s"):
        collect(*others, window=20, rate=20)
    found = collect(*others, window=20, stride=20, resample="200ms")
    assert found.x.shape == (15, 20, 2)  # 100 and 200 rows
    np.testing.assert_allclose(found.x[0], others[0].x[:40].reshape(20, 2, 2).mean(axis=1), atol=1e-6)
    np.testing.assert_array_equal(found.x[5], others[1].x[:20])
    last = collect(*others, window=20, stride=20, resample="200ms", resample_by="last")
    np.testing.assert_array_equal(last.x[0], others[0].x[1:40:2])
    assert (found.metadata["period"], found.metadata["rows"]) == (0.2, 300)


def test_windows_are_proposed_after_resampling_without_filling_gaps(monkeypatch):
    """Between the two halves lies a day, of 864,000 rows."""
    propose, sizes = window_plan.propose_steps, []
    monkeypatch.setattr(window_plan, "propose_steps", lambda x: sizes.append(len(x)) or propose(x))
    recording = record(2000)
    recording.time[1000:] += 86_400
    assert collect(recording, resample="100ms").x.shape[1:] == (40, 2)
    assert collect(record(1000, rate=5), resample="100ms").x.shape[1:] == (80, 2)  # every other row is interpolated
    assert collect(recording, resample="500ms").x.shape[1:] == (16, 2)
    assert collect(recording, resample="100ms", max_gap="2s").metadata["max_gap"] == 2
    assert max(sizes) <= 2001


def make_windows(folder, stride, count=30):
    x = record(20 + stride * count).x + np.linspace(0, 1, 20 + stride * count)[:, None]
    windows = np.stack([x[stride * i : stride * i + 20] for i in range(count)])
    np.save(folder / "windows.npy", windows)
    return Recordings.of(folder / "windows.npy"), windows


@pytest.mark.parametrize("stride", [5, 20])
def test_windows_in_an_array_are_kept(tmp_path, stride):
    recordings, windows = make_windows(tmp_path, stride)
    found = collect(*recordings)
    np.testing.assert_array_equal(found.x, windows.astype(np.float32))
    assert found.metadata["stride"] == 20
    assert found.row.tolist() == list(range(0, 600, 20))
    expected = find_pieces(found.x) if stride < 20 else make_pieces(30, 20, 20)
    np.testing.assert_array_equal(found.pieces.border, expected.border)
    assert found.pieces.stride == stride
    assert len(collect(*recordings, window=20, stride=20).x) == 30


def test_windows_in_an_array_are_not_cut_again(tmp_path):
    recordings, _ = make_windows(tmp_path, 20)
    with pytest.raises(
        DataError, match=r"holds windows of 20 rows, which are not cut again. Received: window=40. Leave it out"
    ):
        collect(*recordings, window=40)
    with pytest.raises(DataError, match=r"holds windows of 20 rows, which are not cut again. Received: stride='5'"):
        collect(*recordings, stride="5")
    with pytest.raises(DataError, match=r"windows.npy: expected windows of 16 time steps. Received: 20 time steps"):
        collect(*Recordings([record(names=("channel 0", "channel 1")), recordings[0]]), window=16)


@pytest.mark.parametrize(
    ("recordings", "settings", "message"),
    [
        ([record(39)], {"window": 20, "stride": 20}, "expected at least 2 normal windows of 20 rows. Received: 1, of 39 rows"),
        ([record(9)], {"window": 20}, "expected at least 2 normal windows of 20 rows. Received: 0, of 9 rows"),
        ([record(label=np.ones(200))], {"window": 20}, "Received: 0, of 200 rows. Give more or longer normal recordings"),
        ([record()], {"window": 15}, "window must have at least 16 rows. Received: 15, 15 rows"),
        ([record()], {"window": "2 lengths"}, "window must be a number of rows or a time"),
        ([record()], {"window": 20, "rate": 0}, "rate"),
        ([record()], {"window": 20, "missing": "drop"}, "missing"),
        ([record()], {"window": 20, "resample": "1s", "resample_by": "median"}, "resample_by"),
    ],
)
def test_errors(recordings, settings, message):
    with pytest.raises(AMSLError, match=message):
        collect(*recordings, **settings)


def test_findings_of_many_recordings_are_shortened(caplog, monkeypatch):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(training, "REPORTED", 2)
    good = [record(40, f"{number}.csv") for number in range(2)]
    bad = [record(40, f"bad {number}.csv", values={7: NAN}) for number in range(5)]
    short = [record(9, f"short {number}.csv") for number in range(3)]
    collect(*good, *bad, *short, window=20)
    assert caplog.messages == [
        "bad 0.csv: 1 missing value was interpolated.",
        "bad 1.csv: 1 missing value was interpolated.",
        "... and 3 more recordings with gaps in time or missing values.",
        "short 0.csv: no window of 20 rows, of 9 rows without a gap: left out.",
        "short 1.csv: no window of 20 rows, of 9 rows without a gap: left out.",
        "... and 1 more recordings without a window: left out.",
    ]


def test_constant_channels_alone_are_refused():
    with pytest.raises(DataError, match="expected a channel that varies in normal operation, found none"):
        collect(*Recordings.of(np.ones((200, 2))), window=20)


def test_no_filling():
    x = np.random.default_rng(0).normal(size=(200, 2))
    x[50, 1] = np.nan
    found = collect(*Recordings.of(x), window=20, stride=20, max_fill=0)
    assert (found.metadata["max_fill"], found.metadata["filled"], found.metadata["missing_windows"]) == (0, 0, 1)


@pytest.mark.parametrize("phase", range(0, 20, 5))
def test_normal_windows_are_alike_at_all_phases(phase):
    """With a stride of half a period training windows begin at two phases, and those at others look abnormal."""
    rng = np.random.default_rng(0)

    def waves(rows, first):
        x = np.sin(2 * np.pi * (first + np.arange(rows)[:, None]) / 20 + [0, 1]) + rng.normal(0, 0.1, (rows, 2))
        return Recording(x, "waves", time=np.arange(rows) / 10)

    detector = AMSLDetector(seed=0).fit_recordings(waves(3000, 0))
    assert detector.window_shape == (40, 2)
    assert detector.score_recording(waves(2000, phase), explain=False).is_anomaly.mean() < 0.08
