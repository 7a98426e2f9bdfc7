"""Recordings and their validation, by hand."""

import logging
import os

import numpy as np
import pandas as pd
import pytest

from amsl_tf.data import recordings
from amsl_tf.data.preparation import Preparation
from amsl_tf.data.reading import Reading
from amsl_tf.data.recordings import Recording, Recordings, check_channels, load_recording
from amsl_tf.errors import DataError


def test_parts_keep_labels_and_times():
    recording = Recording(np.arange(10.0).reshape(5, 2), "a.csv", label=[0, 0, 1, 1, 0], time=[0, 1, 2, 4, 5])
    part = recording[1:4]
    assert (len(recording), len(part), part.x.dtype, part.name) == (5, 3, np.float32, "a.csv")
    assert part.x.tolist() == [[2, 3], [4, 5], [6, 7]]
    assert (part.label.tolist(), part.time.tolist()) == ([0, 1, 1], [1, 2, 4])
    assert (recording.first_row, part.first_row, part[1:].first_row, recording[-2:].first_row) == (0, 1, 2, 3)


def test_missing_values_are_kept():
    assert np.isnan(Recording(np.array([[1.0, np.nan]]), "a.csv").x[0, 1])
    masked = Recording(np.ma.array([[1, -999]], mask=[[False, True]]), "a.csv").x
    assert not isinstance(masked, np.ma.MaskedArray)
    assert masked[0, 0] == 1
    assert np.isnan(masked[0, 1])


@pytest.mark.parametrize(
    ("x", "others", "message"),
    [
        (np.zeros(3), {}, r"expected numbers \(rows, channels\). Received: float64, shape \(3,\)"),
        (np.zeros((0, 2)), {}, r"shape \(0, 2\)"),
        (np.array([["a"]]), {}, "expected numbers"),
        ([[1.0], [np.inf]], {}, "row 1, channel 0 .*found inf"),
        ([[1.0], [1e39]], {}, "row 1, channel 0"),
        ([[1.0], [2.0]], {"label": [0]}, "a.csv: labels must have one entry for each of the 2 rows"),
        ([[1.0], [2.0]], {"label": [0, 2]}, r"a.csv: labels must be 0 \(normal\) or 1 \(abnormal\). Received: 2 for row 1"),
        ([[1.0], [2.0]], {"label": [0, None]}, "none for row 1"),
        ([[1.0], [2.0]], {"time": [0]}, "expected a time for each of 2 rows"),
        ([[1.0], [2.0]], {"channel_names": ("a", "b")}, "expected a name for each of 1 channels. Received: 2 names"),
    ],
)
def test_errors(x, others, message):
    with pytest.raises(DataError, match=message):
        Recording(x, "a.csv", **others)


def write(folder, *names, columns=("x", "y"), count=20):
    """Writes tables with decimal commas, a time in ms and labels; their values are the number of the table."""
    folder.mkdir(exist_ok=True)
    for number, name in enumerate(names):
        frame = pd.DataFrame({column: np.full(count, number + 0.5) for column in columns})
        frame.insert(0, "time_ms", 20 * np.arange(count))
        frame.assign(anomaly=np.arange(count) // 15).to_csv(folder / name, sep=";", decimal=",", index=False)
    return folder


READING = Reading(label="anomaly")


def test_recordings_of_files_and_folders(tmp_path):
    folder = write(tmp_path / "a", "10.csv", "9.csv")
    (folder / "notes.txt").touch()
    for data in (folder, str(folder), [folder], [folder / "9.csv", str(folder / "10.csv")], f"{folder}/*.csv"):
        found = Recordings.of(data, READING)
        assert [source.name for source in found] == [str(folder / "9.csv"), str(folder / "10.csv")]
        assert found.channel_names == ("x", "y")
        loaded = load_recording(found[0])
        assert (loaded.x == 1.5).all()
        assert loaded.label.tolist() == 15 * [0] + 5 * [1]
        assert loaded.time[:3] == pytest.approx([0, 0.02, 0.04])
    assert len(Recordings.of([folder, folder / "9.csv", f"{folder}/10.csv"], READING)) == 2  # each file once
    assert Recordings.of(found) is found
    assert [source.name for source in found[1:]] == [str(folder / "10.csv")]
    with pytest.raises(DataError, match=r"a: expected one recording, week, found 2 files. Name one file"):
        Recordings.of({"week": folder}, READING)
    assert Recordings.of({"week": folder / "9.csv"}, READING)[0].name == str(folder / "9.csv")


def test_notes_are_not_repeated_for_each_file(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    folder = write(tmp_path / "a", *(f"{number}.csv" for number in range(5)))
    write(folder, "9.csv", columns=("x", "y", "z"))
    Recordings.of(folder, READING)
    assert caplog.messages == [
        f"{folder / '0.csv'}: cells are separated by ';', numbers have decimal commas",
        f"{folder / '0.csv'}: the times are in column time_ms",
        f"{folder / '0.csv'}: the times in column time_ms are read in ms and converted to seconds",
        f"{folder / '9.csv'}: columns that are not among the channels are ignored: z",
    ]


def test_recordings_of_a_data_frame():
    index = pd.date_range("2024-01-01", periods=4, freq="s", tz="Europe/Berlin")
    frame = pd.DataFrame({"x": [1.0, 2, np.nan, 4], "y": 0.0, "anomaly": [0, 0, 1, 0]}, index)
    (found,) = Recordings.of(frame, READING)
    assert (found.name, found.channel_names, found.time_zone) == ("recording 0", ("x", "y"), "Europe/Berlin")
    np.testing.assert_array_equal(found.x[:, 0], [1, 2, np.nan, 4])
    assert found.label.tolist() == [0, 0, 1, 0]
    assert found.time[0] == np.datetime64("2023-12-31T23:00:00")
    (found,) = Recordings.of({"Monday": frame.tz_localize(None)}, names=("y", "x"))
    assert (found.name, found.channel_names, found.time_zone, found.label) == ("Monday", ("y", "x"), None, None)
    assert found.time[0] == np.datetime64("2024-01-01")


def test_recordings_of_a_polars_frame():
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame({"time": [0.0, 0.5, 1.0], "x": [1, 2, None]})
    (found,) = Recordings.of([frame])
    assert found.channel_names == ("x",)
    np.testing.assert_array_equal(found.x, [[1], [2], [np.nan]])
    assert found.time.tolist() == [0, 0.5, 1]


def test_recordings_of_arrays():
    x = np.arange(6.0).reshape(3, 2)
    assert Recordings.of(x)[0].channel_names == ("channel 0", "channel 1")
    found = Recordings.of([x, Recording(x, "b", channel_names=("u", "v"))], names=("u", "v"))
    assert [source.name for source in found] == ["recording 0", "b"]
    assert found.channel_names == ("u", "v")
    np.testing.assert_array_equal(found[0].x, x)


def test_later_recordings_have_the_channels_of_the_first(tmp_path):
    frame = pd.DataFrame({"x": [1.0], "y": [2.0]})
    file = write(tmp_path / "a", "0.csv", columns=("z", "y", "x")) / "0.csv"
    found = Recordings.of([frame, frame[["y", "x"]], file, np.array([[1.0, 2.0]])], Reading(time="none", drop=()))
    assert [source.channel_names for source in found] == 4 * [("x", "y")]
    assert found[1].x.tolist() == [[1, 2]]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("x", "z", "w"), "b: expected the 2 channels x, y, as in a; found 3, without y and with z, w. Name the channels"),
        (("x",), "b: expected the 2 channels x, y, as in a; found 1, without y. Name"),
        (("x", "y", "z"), "b: expected the 2 channels x, y, as in a; found 3, with z. Name"),
        (("y", "x"), "b: expected the 2 channels x, y, as in a; found 2, in another order. Name"),
    ],
)
def test_other_channels_are_named(names, message):
    recordings = [
        Recording(np.zeros((3, len(own))), name, channel_names=own) for name, own in (("a", ("x", "y")), ("b", names))
    ]
    with pytest.raises(DataError) as error:
        Recordings(recordings)
    assert str(error.value).startswith(message)
    check_channels(recordings[1], names, "those of the detector")


def test_files_with_other_channels_are_errors(tmp_path):
    folder = write(tmp_path / "a", "0.csv")
    write(folder, "1.csv", columns=("x", "pressure"))
    with pytest.raises(DataError, match=r"1.csv: expected the 2 channels x, y, missing: y; new: pressure. Name the 2 channels"):
        Recordings.of(folder, READING)


def test_recording_whose_name_is_not_utf_8_is_left_out(tmp_path):
    folder = write(tmp_path, "1.csv", "2.csv")
    (folder / "2.csv").rename(folder / os.fsdecode(b"2\xff.csv"))
    skipped = []
    assert [source.name for source in Recordings.of(folder, READING, skipped=skipped)] == [str(folder / "1.csv")]
    assert [own.reason for own in skipped] == [f"'{folder}/2\\udcff.csv': expected a path in UTF-8. Rename it."]
    with pytest.raises(DataError, match="expected a path in UTF-8"):
        Recordings.of(folder, READING)


def test_unusable_recordings_are_left_out_and_listed(tmp_path):
    folder = write(tmp_path / "a", "1.csv", "3.csv", "5.csv")
    (folder / "0.csv").touch()
    write(folder, "2.csv", columns=("x", "pressure"))
    write(folder, "4.csv", count=1)

    def check(source):
        if len(load_recording(source)) < 2:
            raise DataError(f"{source.name}: is too short.")

    skipped = []
    found = Recordings.of(folder, READING, check=check, skipped=skipped)
    assert [source.name for source in found] == [str(folder / f"{number}.csv") for number in (1, 3, 5)]
    assert [(own.position, own.name) for own in skipped] == [(number, str(folder / f"{number}.csv")) for number in (0, 2, 4)]
    for own, message in zip(skipped, ("the file is empty", "missing: y; new: pressure", "is too short."), strict=True):
        assert own.reason.startswith(f"{own.name}: ")
        assert message in own.reason
    with pytest.raises(DataError, match=r"0.csv: expected a recording, but the file is empty"):
        Recordings.of(folder, READING, check=check)
    with pytest.raises(DataError, match=r"4.csv: is too short\."):
        Recordings.of(folder / "4.csv", READING, check=check)
    skipped = []
    with pytest.raises(DataError, match=r"^none of 2 recordings can be used\. The first: .*0.csv: expected a recording"):
        Recordings.of([folder / "0.csv", folder / "4.csv"], READING, check=check, skipped=skipped)
    assert len(skipped) == 2


def test_unusable_objects_are_listed_by_name():
    skipped = []
    x = np.ones((3, 2))
    found = Recordings.of({"a": x, "b": np.ones(3), "c": np.ones((3, 1)), "d": x}, skipped=skipped)
    assert [source.name for source in found] == ["a", "d"]
    assert [own.name for own in skipped] == ["b", "c"]
    skipped = []
    assert len(Recordings.of([np.ones(3), x], skipped=skipped)) == 1
    assert [own.name for own in skipped] == ["recording 0"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "expected one or more recordings. Received: none"),
        ({}, "expected one or more recordings. Received: none"),
        (3, "recording 0: expected a path, a Recording, a data frame or an array. Received: int"),
        ({"pump": [[1.0]]}, "pump: expected a path, a Recording, a data frame or an array. Received: list"),
        (np.zeros(3), r"recording 0: expected numbers \(rows, channels\)"),
        ("nowhere.csv", "nowhere.csv: not found"),
        (pd.DataFrame({"x": []}), "recording 0: expected rows of numbers, found none"),
    ],
)
def test_other_kinds_are_errors(data, message):
    with pytest.raises(DataError, match=message):
        Recordings.of(data)


def test_parts_of_a_recording(monkeypatch):
    monkeypatch.setattr(recordings, "ROWS", 4)
    time = np.arange(10).astype("datetime64[s]")
    recording = Recording(np.arange(20.0).reshape(10, 2), "a", label=np.arange(10) % 2, time=time)
    parts = list(recording[1:].parts())
    assert [len(part) for part in parts] == [4, 4, 1]
    assert np.concatenate([part.row for part in parts]).tolist() == list(range(1, 10))
    np.testing.assert_array_equal(np.concatenate([part.x for part in parts]), recording.x[1:])
    np.testing.assert_array_equal(np.concatenate([part.time for part in parts]), time[1:])
    assert parts[0].time.dtype == "datetime64[ns]"
    assert np.concatenate([part.label for part in parts]).tolist() == [1, 0, 1, 0, 1, 0, 1, 0, 1]
    (part,) = Recording(np.zeros((3, 1)), "a", time=[1, 2, 3]).parts()
    assert (part.label, part.time.dtype) == (None, np.float64)


def test_loading_a_recording(tmp_path, monkeypatch):
    (tmp_path / "a.csv").write_text(
        "time,x,anomaly\n" + "".join(f"{2 * row},{row},{row % 2}\n" for row in range(9)) + "18,inf,0\n\n20,,0\n"
    )
    source = Recordings.of(tmp_path / "a.csv", READING)[0]
    loaded = load_recording(source)
    np.testing.assert_array_equal(loaded.x[:, 0], [*range(9), np.nan, np.nan, np.nan])
    np.testing.assert_array_equal(loaded.time, [*range(0, 20, 2), np.nan, 20])
    assert loaded.label.tolist() == [0, 1] * 4 + 4 * [0]
    prepared = load_recording(source, Preparation(4.0, resample=True, max_gap=20))
    np.testing.assert_array_equal(prepared.x[:, 0], [0.5, 2.5, 4.5, 6.5, 8, np.nan])
    assert prepared.time.tolist() == [0, 4, 8, 12, 16, 20]
    assert prepared.label.tolist() == [1, 1, 1, 1, 0, 0]
    assert load_recording(Recording(np.zeros((9, 1)), "a")[4:]).first_row == 4


@pytest.mark.parametrize("kind", [np.asarray, pd.DataFrame])
def test_unusable_values_in_memory_are_missing_as_in_files(kind, caplog):
    caplog.set_level("INFO")
    x = np.array([[1.0, 2.0], [np.inf, 3.0], [4.0, -1e31]])
    found = load_recording(Recordings.of(kind(x))[0])
    np.testing.assert_array_equal(found.x, [[1, 2], [np.nan, 3], [4, np.nan]])
    assert "2 values that are infinite or beyond 1e+30 count as missing" in caplog.text
