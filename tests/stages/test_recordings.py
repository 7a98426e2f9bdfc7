"""Scoring recordings with a scorer whose scores are known: tables, events, and nothing half-written."""

import numpy as np
import pandas as pd
import pytest

from amsl_tf.data.channel_states import MISSING
from amsl_tf.data.preparation import Preparation
from amsl_tf.data.recordings import Recording, Recordings
from amsl_tf.data.window_reader import WindowPlan
from amsl_tf.errors import AMSLError
from amsl_tf.scoring.events import MergeRule
from amsl_tf.stages.recordings import score_recordings

START = np.datetime64("2024-03-30T23:00", "ns")


class LargestValue:
    """Scores a window of four rows and two channels by its largest value; 5 is abnormal."""

    window_shape = (4, 2)

    def detect(self, windows):
        score = np.nanmax(windows, axis=(1, 2))
        health = np.where(np.isnan(windows).any(axis=1), MISSING, 0).astype(np.int32)
        return {"score": score, "is_anomaly": score >= 5, "valid": ~np.isnan(windows).any(axis=(1, 2)), "health": health}

    def explain(self, windows):
        return {"channels": np.nanmax(windows, axis=1), "members": np.nanmax(windows, axis=(1, 2))[:, None]}

    members_ = ("largest",)

    def to_p_values(self, scores):
        return 1 / (1 + scores)


class Interrupted(LargestValue):
    def detect(self, windows):
        raise KeyboardInterrupt


def make_recording(name="pump.csv", times="none", zone=None, label=None, rows=14):
    x = np.zeros((rows, 2), np.float32)
    x[5, 1] = 9
    time = {"none": None, "dates": START + np.arange(rows) * np.timedelta64(1, "s"), "seconds": np.arange(rows) / 2}[times]
    return Recording(x, name, label, time, 0, ("speed", "load"), zone)


def score(*recordings, stride=2, scorer=None, **settings):
    plan = WindowPlan(4, stride, settings.pop("preparation", Preparation()))
    return score_recordings(scorer or LargestValue(), Recordings(recordings), plan, **settings)


def test_table_of_windows(tmp_path):
    label = np.zeros(14, int)
    label[5] = 1
    found = score(make_recording(times="seconds", label=label), output=tmp_path / "windows.csv")
    table = pd.read_csv(tmp_path / "windows.csv", keep_default_na=False)
    assert list(table) == [
        "first_row", "last_row", "start", "end", "score", "p_value", "is_anomaly", "valid", "health", "label",
    ]  # fmt: skip
    assert table["first_row"].tolist() == [0, 2, 4, 6, 8, 10]
    assert table["last_row"].tolist() == [3, 5, 7, 9, 11, 13]
    assert table["end"].tolist() == [1.5, 2.5, 3.5, 4.5, 5.5, 6.5]
    assert table["score"].tolist() == [0, 9, 9, 0, 0, 0]
    assert table["p_value"].tolist() == [1, 0.1, 0.1, 1, 1, 1]
    assert table["is_anomaly"].tolist() == table["label"].astype(bool).tolist() == [False, True, True, False, False, False]
    assert table["valid"].all()
    assert set(table["health"]) == {""}
    assert (found.windows, found.flagged, found.incomplete) == (6, 2, 0)


def test_events_and_their_table(tmp_path):
    found = score(make_recording(times="dates"), events_file=tmp_path / "events.parquet")
    ((event,),) = found.events
    assert (event.first_row, event.last_row, event.windows, event.peak_score) == (2, 7, 2, 9)
    assert event.p_value == pytest.approx(0.1)
    assert event.channels == {"load": 9, "speed": 0}
    assert event.members == {"largest": 9}
    (row,) = pd.read_parquet(tmp_path / "events.parquet").to_dict("records")
    assert (row["file"], row["start"], row["end"]) == (
        "pump.csv",
        pd.Timestamp("2024-03-30T23:00:02"),
        pd.Timestamp("2024-03-30T23:00:07"),
    )
    assert score(make_recording(), rule=MergeRule(min_rows=7)).events == [[]]


def test_table_of_time_steps(tmp_path):
    score(make_recording(times="seconds"), output=tmp_path / "steps.csv", step_threshold=4.5)
    table = pd.read_csv(tmp_path / "steps.csv")
    assert list(table) == ["row", "time", "score", "is_anomaly"]
    assert table["row"].tolist() == list(range(14))
    # rows 2 and 3 are of the windows 0 and 1, with the scores 0 and 9; rows 4 and 5 of the windows 1 and 2
    assert table["score"].tolist() == [0, 0, 4.5, 4.5, 9, 9, 4.5, 4.5, 0, 0, 0, 0, 0, 0]
    assert table["is_anomaly"].tolist() == [score >= 4.5 for score in table["score"]]


def test_missing_values(tmp_path):
    recording = make_recording()
    recording.x[8, 0] = np.nan
    found = score(recording, output=tmp_path / "windows.csv")
    table = pd.read_csv(tmp_path / "windows.csv", keep_default_na=False)
    assert table["valid"].tolist() == [True, True, True, False, False, True]
    assert table["health"].tolist() == ["", "", "", "speed missing", "speed missing", ""]
    assert table["score"].tolist() == [0, 9, 9, 0, 0, 0]  # of the other channel
    assert found.incomplete == 2


def test_parts_of_the_score_without_names():
    """As those of a server."""

    class Server:
        window_shape, detect, explain = (4, 2), LargestValue.detect, LargestValue.explain

    ((event,),) = score(make_recording(), scorer=Server()).events
    assert event.channels == {"load": 9, "speed": 0}
    assert event.members == {}
    assert np.isnan(event.p_value)


def test_several_recordings_are_told_apart(tmp_path):
    found = score(make_recording("a"), make_recording("b", rows=6), output=tmp_path / "windows.csv")
    table = pd.read_csv(tmp_path / "windows.csv")
    assert table["file"].tolist() == ["a"] * 6 + ["b"] * 2
    assert [[event.recording for event in events] for events in found.events] == [["a"], ["b"]]
    assert found.events[1][0].last_row == 5


def test_recordings_of_one_name_keep_their_events(tmp_path):
    first, second = make_recording("a", "dates", "UTC"), make_recording("a", "dates", "Europe/Berlin", rows=6)
    found = score(first, second, events_file=tmp_path / "events.csv")
    assert [[event.last_row for event in events] for events in found.events] == [[7], [5]]
    assert found.time_zones == ["UTC", "Europe/Berlin"]
    assert pd.read_csv(tmp_path / "events.csv")["last_row"].tolist() == [7, 5]


def test_times_are_in_the_zone_of_the_recording(tmp_path):
    score(make_recording(times="dates", zone="Europe/Berlin"), output=tmp_path / "windows.parquet")
    start = pd.read_parquet(tmp_path / "windows.parquet")["start"]
    assert str(start.dt.tz) == "Europe/Berlin"
    assert str(start[0]) == "2024-03-31 00:00:00+01:00"


def test_tables_of_several_zones_are_in_utc(tmp_path):
    recordings = [make_recording(zone, "dates", zone) for zone in ("Europe/Berlin", "UTC")]
    found = score(*recordings, output=tmp_path / "windows.parquet", events_file=tmp_path / "events.parquet")
    for name in ("windows", "events"):
        start = pd.read_parquet(tmp_path / f"{name}.parquet")["start"]
        assert str(start.dt.tz) == "UTC"
    assert found.time_zones == ["Europe/Berlin", "UTC"]


@pytest.mark.parametrize("name", ["output", "events_file"])
@pytest.mark.parametrize(
    ("kinds", "message"),
    [
        ((("dates", None), ("none", None)), "only some recordings have end, start"),
        ((("dates", None), ("seconds", None)), r"expected the same kind of times .* found datetime64\[ns\] and float64"),
        ((("dates", None), ("dates", "UTC")), r"found datetime64\[ns\] and datetime64\[ns, UTC\]"),
    ],
)
def test_recordings_with_other_times_do_not_fit_in_one_table(tmp_path, name, kinds, message):
    recordings = [make_recording(str(number), *kind) for number, kind in enumerate(kinds)]
    with pytest.raises(AMSLError, match=message):
        score(*recordings, **{name: tmp_path / "table.csv"})
    assert list(tmp_path.iterdir()) == []
    assert score(*recordings).windows == 12  # without a table


def test_first_recording_without_times_does_not_fit_either(tmp_path):
    """Alone, a table of events has a column `start` in any case, which would mix rows and dates."""
    recordings = make_recording("0", "none", None), make_recording("1", "dates", None)
    with pytest.raises(AMSLError, match="only some recordings have end, start"):
        score(*recordings, events_file=tmp_path / "events.csv")


def test_only_some_recordings_with_labels(tmp_path):
    recordings = make_recording("a", label=np.zeros(14, int)), make_recording("b")
    with pytest.raises(AMSLError, match=r"only some recordings have label\. Score recordings with and without it separately"):
        score(*recordings, output=tmp_path / "windows.csv")
    score(*recordings, events_file=tmp_path / "events.csv")  # events have no labels
    assert [item.name for item in tmp_path.iterdir()] == ["events.csv"]


def test_interruption_leaves_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        score(make_recording(), scorer=Interrupted(), output=tmp_path / "a.csv", events_file=tmp_path / "b.csv")
    assert list(tmp_path.iterdir()) == []


def test_both_tables_are_written_or_none(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(AMSLError, match=r"b.csv: cannot be written"):
        score(make_recording(), output=tmp_path / "a.csv", events_file=tmp_path / "file/b.csv")
    assert [item.name for item in tmp_path.iterdir()] == ["file"]
