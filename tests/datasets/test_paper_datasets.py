"""The readers of PAMAP2, WESAD and CAP: windows and labels worked out by hand, gaps, and errors for damaged files."""

import logging
import os
import pickle
import shutil
import sys
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from amsl_tf.datasets import DATASETS, load_dataset
from amsl_tf.datasets.activities import find_windows, resample
from amsl_tf.datasets.cap import CAP, read_scoring
from amsl_tf.datasets.cap import CHANNELS as CAP_CHANNELS
from amsl_tf.datasets.pamap2 import PAMAP2, interpolate
from amsl_tf.datasets.wesad import WESAD, read_e4
from amsl_tf.errors import AMSLError, DataError
from tests.conftest import ROOT, run_python
from tests.datasets.paper_writers import (
    HEADER,
    SCORING,
    pamap2_table,
    wesad_content,
    write_cap,
    write_e4,
    write_pamap2,
    write_scoring,
    write_wesad,
)

MIDNIGHT = 24 * 3600


def rows_of(windows):
    """Returns activity, subject, first row and label of windows."""
    return list(zip(windows.activity, windows.subject, windows.segment, windows.label.tolist(), strict=True))


@pytest.fixture(scope="module")
def pamap2_file(tmp_path_factory):
    """A file of 2,400 rows: 100 transient, 1,100 walking, 600 on stairs, 600 ironing; and its table."""
    file = tmp_path_factory.mktemp("pamap2") / "subject101.dat"
    table = pamap2_table(np.repeat([0, 4, 12, 17], [100, 1100, 600, 600]))
    write_pamap2(file, table)
    return file, table


@pytest.fixture
def pamap2(pamap2_file, tmp_path):
    """A copy of this file in a folder. Returns folder, file and table."""
    (tmp_path / "Protocol").mkdir()
    file = Path(shutil.copy(pamap2_file[0], tmp_path / "Protocol"))
    return tmp_path, file, pamap2_file[1].copy()


@pytest.fixture
def wesad(tmp_path):
    """A pickle of 75 s: 2 transient, 21 baseline, 12 stress, 20 meditation, 20 amusement."""
    content = wesad_content(np.repeat([0, 1, 2, 4, 3], np.multiply([2, 21, 12, 20, 20], 700)))
    write_wesad(tmp_path / "S2/S2.pkl", content)
    return tmp_path, tmp_path / "S2/S2.pkl", content


@pytest.fixture
def cap(tmp_path):
    """A night that passes midnight, of six scored periods after 7 s; MCAP rows are no stages. Returns folder and signals."""
    pytest.importorskip("pyedflib")
    signals = write_cap(tmp_path, "n1", ["S0", "S2", "S2", "REM", "MT", "S4"], delay=7)
    lines = (tmp_path / "n1.txt").read_text().splitlines()
    lines.insert(7, "S2\tN/A\t23:59:50\tMCAP-A1\t4\tF4-C4")
    (tmp_path / "n1.txt").write_text("\n".join(lines))
    return tmp_path, signals


def test_windows_lie_within_runs():
    activities = np.array(list("aaaaabbb") + [""] * 4 + list("bba"))
    assert find_windows(activities, 2).tolist() == [0, 2, 5, 12]
    assert find_windows(activities, 6).tolist() == find_windows(activities[:0], 2).tolist() == []


def test_interpolation():
    nan = np.nan
    x = np.array([[nan, 1, nan, nan, 4, nan, nan, nan, 8, nan, 2, nan]], np.float32).T
    runs = np.repeat([1, 2], [9, 3])
    found = interpolate(x, runs, 2).T
    # the gap of three is too long, the one at row 9 is between two runs, and those at both ends have one neighbour
    np.testing.assert_array_equal(found, [[nan, 1, 2, 3, 4, nan, nan, nan, 8, nan, 2, nan]])
    np.testing.assert_array_equal(interpolate(x, runs, 3).T[0, 4:9], [4, 5, 6, 7, 8])
    assert np.isnan(x).sum() == 8  # the input is unchanged


def test_resampling_keeps_slow_waves_and_times():
    slow = [np.sin(2 * np.pi * 3 * np.arange(5 * rate) / rate) for rate in (512, 100)]
    found = resample(30 + slow[0], 512, 100)
    assert len(found) == 500
    np.testing.assert_allclose(found[20:-20], 30 + slow[1][20:-20], atol=0.01)
    fast = resample(np.sin(2 * np.pi * 180 * np.arange(2560) / 512), 512, 100)  # above the new Nyquist frequency
    assert np.abs(fast[20:-20]).max() < 0.01


@pytest.mark.parametrize("name", ["Protocol", "."])
def test_pamap2_windows(pamap2, name):
    folder, _, table = pamap2
    windows = load_dataset("pamap2", folder / name)
    expected = [("4", "100", 0), ("4", "612", 0), ("12", "1200", 1), ("17", "1800", 0)]
    assert rows_of(windows) == [(activity, "subject101", row, label) for activity, row, label in expected]
    assert set(windows.source) == {"subject101.dat" if name == "Protocol" else "Protocol/subject101.dat"}
    columns = [first + offset for first in (3, 20, 37) for offset in (1, 2, 3, 7, 8, 9, 10, 11, 12)]
    for window, row in zip(windows.x, (100, 612, 1200, 1800), strict=True):
        np.testing.assert_allclose(window, table[row : row + 512, columns], rtol=1e-6)
    assert PAMAP2.channel_names[9:13] == (*(f"chest accelerometer {axis}" for axis in "xyz"), "chest gyroscope x")


def test_pamap2_gaps(pamap2, caplog):
    folder, file, table = pamap2
    table[150:170, 20:37] = np.nan  # 20 rows of the chest: filled
    table[700:721, 20:37] = np.nan  # 21 rows: the run ends, and the next begins at row 721
    table[1200:1203, 3:20] = np.nan  # at the start of a run: left out
    table[1900:, 0] += 0.05  # a step in time: row 1900 is left out
    write_pamap2(file, table)
    windows = load_dataset("pamap2", folder)
    assert rows_of(windows) == [("4", "subject101", "100", 0), ("12", "subject101", "1203", 1)]
    ramp = np.linspace(table[149, 21], table[170, 21], 22)
    np.testing.assert_allclose(windows.x[0, 49:71, 9], ramp, rtol=1e-5)
    (record,) = caplog.records  # of the index, and not of the windows once more
    assert record.message.startswith(
        f"{file}: 0.24 s of activities are left out, the first at line 701: values are missing in more"
    )


def edit(line, change):
    """Returns a function that changes the cells of a line of a text file, counted from 1."""

    def damage(file):
        lines = file.read_text().splitlines()
        lines[line - 1] = " ".join(change(lines[line - 1].split()))
        file.write_text("\n".join(lines) + "\n")

    return damage


PAMAP2_FAULTS = {
    "cut off": (lambda file: file.write_bytes(file.read_bytes()[:-30]), "line 2400: expected 54 values, found 5"),
    "text": (
        edit(7, lambda cells: [*cells[:5], "oops", *cells[6:]]),
        "line 7, column 6: expected a finite number, found 'oops'",
    ),
    "falling time": (edit(7, lambda cells: ["4.9", *cells[1:]]), r"row 6 \(from 0\): a time that does not rise, 4.9 after"),
    "repeated time": (edit(7, lambda cells: ["5.05", *cells[1:]]), r"row 6 \(from 0\): a repeated time, 5.05 after 5.05"),
    "other activity": (
        edit(7, lambda cells: [cells[0], "19", *cells[2:]]),
        "line 7: expected one of the activities 0, 1.*found 19",
    ),
    "no activity": (
        edit(7, lambda cells: [cells[0], "NaN", *cells[2:]]),
        "line 7: expected one of the activities 0.*found nan",
    ),
    "empty": (lambda file: file.write_text(""), "expected a table of 54 columns, found an empty file"),
    "short": (lambda file: write_pamap2(file, pamap2_table([4] * 511)), "found no activity that lasts 5.12 s"),
}


@pytest.mark.parametrize("name", PAMAP2_FAULTS)
def test_faults_of_pamap2(pamap2, name):
    folder, file, _ = pamap2
    damage, message = PAMAP2_FAULTS[name]
    damage(file)
    with pytest.raises(DataError, match=message) as error:
        PAMAP2(folder).load()
    assert str(file if name != "short" else folder) in str(error.value)


def test_wesad_windows(wesad):
    folder, _, content = wesad
    windows = load_dataset("wesad", folder)
    expected = [("1", "200", 0), ("1", "1200", 0), ("2", "2300", 1), ("3", "5500", 0), ("3", "6500", 0)]
    assert rows_of(windows) == [(activity, "S2", row, label) for activity, row, label in expected]
    x = np.concatenate(list(content["signal"]["chest"].values()), axis=1)
    # the anti-aliasing filter removes noise, and rounds the corner where stress begins
    np.testing.assert_allclose(windows.x[2, 20:], x[2320 * 7 : 3300 * 7 : 7], atol=0.3)
    assert WESAD.channel_names == ("ACC x", "ACC y", "ACC z", "ECG", "EMG", "EDA", "Temp", "Resp")


def test_subjects_of_wesad_are_in_order(wesad):
    folder, file, _ = wesad
    for subject in ("S10", "S3"):
        (folder / subject).mkdir()
        (folder / subject / f"{subject}.pkl").write_bytes(file.read_bytes())
    assert list(dict.fromkeys(load_dataset("wesad", folder).subject)) == ["S2", "S3", "S10"]


class Evil:
    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


def with_chest(name, values):
    """Returns a function that replaces a signal of a pickle; without it if `values` is None."""

    def damage(file, content):
        chest = content["signal"]["chest"]
        chest[name] = values if values is None else values(chest[name])
        if chest[name] is None:
            del chest[name]
        write_wesad(file, content)

    return damage


WESAD_FAULTS = {
    "missing": (lambda file, _: file.unlink(), "S2.pkl: not found"),
    "cut off": (lambda file, _: file.write_bytes(file.read_bytes()[:-100]), "expected a pickle of NumPy arrays"),
    "a list": (lambda file, _: write_wesad(file, [1]), "expected a dict with the entry label, found none"),
    "no label": (lambda file, content: write_wesad(file, {"signal": content["signal"]}), "the entry label, found none"),
    "no signal": (with_chest("ECG", None), "the entry signal > chest > ECG, found none"),
    "short signal": (with_chest("EDA", lambda x: x[:-1]), r"chest EDA of shape \(52500, 1\).*found \(52499, 1\)"),
    "text": (with_chest("Temp", lambda x: x.astype(str)), "expected finite numbers in chest Temp"),
    "infinity": (with_chest("Resp", lambda x: x + np.inf), "expected finite numbers in chest Resp"),
    "bool labels": (lambda file, content: write_wesad(file, content | {"label": content["label"] > 0}), "numbers from 0 to 7"),
    "other label": (lambda file, content: write_wesad(file, content | {"label": content["label"] + 9}), "numbers from 0 to 7"),
}


@pytest.mark.parametrize("name", WESAD_FAULTS)
def test_faults_of_wesad(wesad, name):
    folder, file, content = wesad
    damage, message = WESAD_FAULTS[name]
    damage(file, content)
    with pytest.raises(DataError, match=f"S2.pkl.*{message}" if name != "missing" else message):
        WESAD(folder).load()


def test_code_in_a_pickle_is_not_executed(wesad, tmp_path):
    folder, file, _ = wesad
    file.write_bytes(pickle.dumps({"signal": Evil(tmp_path / "mark"), "label": 0}, 2))
    with pytest.raises(DataError, match=r"S2.pkl.*not allowed"):
        WESAD(folder).load()
    assert not (tmp_path / "mark").exists()


def test_wristband(tmp_path):
    write_e4(tmp_path, start=1000.0, seconds=10)
    (tmp_path / "TEMP.csv").write_text("1002.0\n4.0\n" + "30\n" * 20 + "32\n")  # 1002 to 1007
    recording = read_e4(tmp_path)
    assert recording.x.shape == (5 * 64 + 1, 6)
    np.testing.assert_allclose(recording.time[[0, 1, -1]], [1002, 1002 + 1 / 64, 1007])
    np.testing.assert_allclose(recording.x[:, 3], np.arange(128, 128 + 321))  # its clock
    np.testing.assert_allclose(recording.x[:, 0], recording.time - 1000, rtol=1e-6)
    np.testing.assert_allclose(recording.x[:, 4], recording.time - 1000, rtol=1e-6)
    np.testing.assert_allclose(recording.x[-2:, 5], [32 - 2 / 16, 32])


def test_faults_of_the_wristband(tmp_path):
    write_e4(tmp_path)
    for text, message in (
        ("1000\n4\n", "EDA.csv: expected a line with the start"),
        ("1000\n0\n1\n2\n", "EDA.csv: expected a line with the start, one with a positive rate"),
        ("1000\n4\n1\noops\n", "EDA.csv, line 4, column 1: .*'oops'"),
        ("1000\n4\n1\n2\n", "found no time that all of ACC, BVP, EDA, TEMP share"),
    ):
        (tmp_path / "EDA.csv").write_text(text)
        with pytest.raises(DataError, match=message):
            read_e4(tmp_path)
    (tmp_path / "EDA.csv").unlink()
    with pytest.raises(DataError, match=r"EDA.csv: not found"):
        read_e4(tmp_path)


def test_cap_windows(cap):
    folder, signals = cap
    windows = load_dataset("cap", folder)
    stages = [("S0", 1), ("S2", 0), ("S2", 0), ("REM", 0), ("MT", 1), ("S4", 0)]
    assert rows_of(windows) == [(stage, "n1", str(700 + 3000 * k), label) for k, (stage, label) in enumerate(stages)]
    np.testing.assert_allclose(windows.x, signals[700:].reshape(6, 3000, 7), atol=20 / 65535)  # one digital step


def test_cap_channels_by_name_and_rate(tmp_path):
    pytest.importorskip("pyedflib")
    labels = ("SpO2", *(name.lower().replace("4-", "4 ") for name in reversed(CAP_CHANNELS)))
    signals = write_cap(tmp_path, "sdb1", ["S2", "S0"], rate=200, channels=labels)
    windows = load_dataset("cap", tmp_path)
    expected = signals[::2, :0:-1].reshape(2, 3000, 7)
    np.testing.assert_allclose(windows.x[:, 30:-30], expected[:, 30:-30], atol=0.3)


def test_recordings_without_a_channel_are_left_out(cap, caplog):
    folder, _ = cap
    write_cap(folder, "n10", ["S2"], channels=CAP_CHANNELS[1:])
    assert set(load_dataset("cap", folder).subject) == {"n1"}
    assert [record.message for record in caplog.records] == [f"{folder}/n10.edf: left out, since it has no channel ROC-LOC."]
    (folder / "n1.edf").unlink()
    with pytest.raises(DataError, match="found no activity that lasts 30 s"):
        CAP(folder).index()


def test_periods_outside_the_recording_are_left_out(cap, caplog):
    folder, _ = cap
    write_scoring(folder / "n1.txt", ["S0", "S1", "S2", "S2", "REM", "MT", "S4", "S4"], datetime(2020, 1, 1, 23, 58, 37))
    windows = load_dataset("cap", folder)
    assert rows_of(windows)[0] == ("S1", "n1", "700", 0)
    assert [row[0] for row in rows_of(windows)] == ["S1", "S2", "S2", "REM", "MT", "S4"]
    assert [record.message.partition(": ")[2] for record in caplog.records] == [
        "2 of 8 scored periods are left out, since they are not within it."
    ]


def test_scoring(tmp_path):
    file = tmp_path / "n1.txt"
    names = "Sleep Stage\tTime [hh:mm:ss]\tEvent\tDuration [s]\tLocation\n"
    rows = "S1\t23.59.30\tSLEEP-S1\t30\tx\nR\t00.00.00\tSLEEP-REM\t30\n\n"
    file.write_text(HEADER + names + rows)  # without positions, with dots, and a blank line
    assert read_scoring(file, MIDNIGHT - 60) == [("S1", 30, 60), ("REM", 60, 90)]
    assert read_scoring(file, 20) == [("S1", -50, -20), ("REM", -20, 10)]


ROW = "S2\tN/A\t{}\t{}\t{}\tx\n"
SCORING_FAULTS = {
    "no stages": (SCORING + ROW.format("22:00:00", "MCAP-A1", 5), "expected events like SLEEP-S2, found no sleep stage"),
    "no table": (HEADER, "expected a line with the columns Time, Event, Duration, found none"),
    "empty": ("", "expected a line with the columns"),
    "text": (SCORING + ROW.format("22:00:00", "SLEEP-S2", "oops"), "line 6: expected a time like .*found 'S2 N/A 22:00:00"),
    "no time": (SCORING + ROW.format("22h", "SLEEP-S2", 30), "line 6: expected a time like"),
    "cut off": (SCORING + ROW.format("22:00:00", "SLEEP-S2", 30) + "S2\tN/A\t22:0", "line 7: expected a time like"),
    "no time of day": (SCORING + ROW.format("47:59:00", "SLEEP-S2", 30), "line 6: expected a time of day, found 47:59:00"),
    "two stages": (
        SCORING + ROW.format("22:00:00", "SLEEP-S2", 30) + ROW.format("22:00:00", "SLEEP-S0", 30),
        "line 7: 22:00:00 lies within the period of the stage before",
    ),
    "long period": (
        SCORING + ROW.format("22:00:00", "SLEEP-S2", 60) + ROW.format("22:00:30", "SLEEP-S0", 30),
        "line 7: 22:00:30 lies within",
    ),
    "falling time": (
        SCORING + ROW.format("22:00:00", "SLEEP-S2", 30) + ROW.format("21:59:30", "SLEEP-S2", 30),
        "line 7: 21:59:30 is earlier than the stage before",
    ),
}


@pytest.mark.parametrize("name", SCORING_FAULTS)
def test_faults_of_a_scoring(tmp_path, name):
    text, message = SCORING_FAULTS[name]
    (tmp_path / "n1.txt").write_text(text)
    with pytest.raises(DataError, match=f"n1.txt.*{message}"):
        read_scoring(tmp_path / "n1.txt", 22 * 3600)


def test_faults_of_cap(cap, monkeypatch):
    folder, _ = cap
    content = (folder / "n1.edf").read_bytes()
    for damaged in (content[:-3000], content[:100], b""):
        (folder / "n1.edf").write_bytes(damaged)
        with pytest.raises(DataError, match=r"n1.edf: expected a complete EDF file"):
            CAP(folder).load()
    (folder / "n1.edf").write_bytes(content)
    (folder / "n1.txt").unlink()
    with pytest.raises(DataError, match=r"n1.txt: not found"):
        CAP(folder).load()
    monkeypatch.setitem(sys.modules, "pyedflib", None)
    with pytest.raises(AMSLError, match=r"EDF needs pyedflib .*pip install 'amsl_tf\[edf\]'"):
        CAP(folder).load()


@pytest.mark.parametrize(("name", "expected"), [("pamap2", "subject101.dat"), ("wesad", "folders like S2"), ("cap", "n1.edf")])
def test_wrong_folder(tmp_path, name, expected):
    for folder in (tmp_path, tmp_path / "typo"):
        with pytest.raises(DataError, match=f"{folder}.*{expected}.*found none.*--source"):
            DATASETS[name](folder).index()


@pytest.mark.parametrize("name", ["pamap2", "wesad", "cap"])
def test_index_is_that_of_the_windows_read(request, name):
    folder = request.getfixturevalue(name)[0]
    dataset = DATASETS[name](folder)
    parts = list(dataset.read())  # before the index
    index = dataset.index()
    assert {len(column) for column in index.values()} == {sum(map(len, parts))}
    assert (
        {part.shape[1:] for part in parts} == {dataset.window_shape} == {(dataset.window_shape[0], len(dataset.channel_names))}
    )
    assert all(part.dtype == np.float32 and np.isfinite(part).all() for part in parts)
    assert set(index["label"]) == {0, 1}
    assert set(index["activity"]) <= set(dataset.titles)
    # abnormal windows are those with strong signals
    strength = np.concatenate([part.std(axis=(1, 2)) for part in parts])
    np.testing.assert_array_equal(strength > 1.4, index["label"] == 1)
    x = dataset.read_signals(index["subject"][-1])
    np.testing.assert_array_equal(parts[-1][-1], x[int(index["segment"][-1]) :][: dataset.window_shape[0]])


@pytest.mark.slow
def test_the_four_stages(tmp_path):
    labels = np.repeat([1, 2, 3], np.multiply([50, 20, 40], 700))
    for subject in ("S2", "S3"):
        write_wesad(tmp_path / f"WESAD/{subject}/{subject}.pkl", wesad_content(labels, int(subject[1:])))
    options = {name: (f"--{name}", tmp_path / name) for name in ("detector", "results", "log-dir")}
    generated, transformed = tmp_path / "generate", tmp_path / "transform"
    small = ("--network", "cae", "--epochs", 1, "--batch-size", 4, "--mixed-precision", "off")
    for name, arguments in {
        "preprocessing": ("--dataset", "wesad", "--source", tmp_path / "WESAD", "--output", generated),
        "transformation": ("--input", generated, "--output", transformed),
        "train": ("--input", transformed, *small, *options["detector"], *options["results"], *options["log-dir"]),
        "evaluate": (*options["detector"], *options["results"]),
    }.items():
        finished = run_python(ROOT / "scripts" / f"{name}.py", *arguments)
        assert finished.returncode == 0, finished.stderr
    assert "ensemble (decides)" in finished.stdout
    assert "stress" in (tmp_path / "results/report.html").read_text()


@pytest.mark.real_data
@pytest.mark.parametrize("name", ["pamap2", "wesad", "cap"])
def test_real_data(name, caplog):
    """Reads a whole data set from the folder that the environment variable AMSL_TF_<NAME> names."""
    variable = f"AMSL_TF_{name.upper()}"
    if variable not in os.environ:
        pytest.skip(f"{variable} is not set")
    caplog.set_level(logging.WARNING)
    dataset = DATASETS[name](Path(os.environ[variable]))
    index = dataset.index()
    assert set(index["label"]) == {0, 1}
    count = 0
    for part in dataset.read():
        assert part.shape[1:] == dataset.window_shape
        assert np.isfinite(part).all()
        count += len(part)
    assert count == len(index["label"])
