"""The command explain: the figure of a window, and its result."""

import json

import matplotlib as mpl
import numpy as np
import pytest

from amsl_tf import AMSLDetector
from tests.cli.conftest import assert_error, run
from tests.conftest import run_python

EVENT = "2024-01-01 00:01:15"  # in the middle of rows 700 to 799


def explain(fitted, tmp_path, *arguments, recording="abnormal.csv", output="figure.svg"):
    command = ("explain", fitted / recording, "--detector", fitted / "detector", "--output", tmp_path / output)
    return run(*command, *arguments)


def test_window_at_a_time(fitted, tmp_path, capsys):
    with mpl.rc_context({"svg.fonttype": "none"}):
        assert explain(fitted, tmp_path, "--at", EVENT) == 0
    # windows begin every 1.2 s and last 4.9 s: that from 72 s on has its middle at 74.45 s, the next at 75.65 s
    first = 60 * 12
    window = "2024-01-01 00:01:12 to 2024-01-01 00:01:16.9"
    threshold = AMSLDetector.load(fitted / "detector").threshold_
    text = capsys.readouterr().out
    assert text.startswith(f"{tmp_path / 'figure.svg'}: window 60, from row {first}, {window}, is abnormal: score ")
    assert f", threshold {threshold:.4g}\nlargest contributions: b, " in text
    figure = (tmp_path / "figure.svg").read_text()
    assert window in figure
    assert "b: " in figure


def test_window_by_number(fitted, tmp_path, capsys, caplog):
    assert explain(fitted, tmp_path, "--window", 0, "--json") == 0
    values = json.loads(capsys.readouterr().out)
    assert (values["window"], values["first_row"], values["start"]) == (0, 0, "2024-01-01 00:00:00")
    assert values["is_anomaly"] is (values["score"] >= values["threshold"])
    assert sorted(values["worst_channels"]) == ["a", "b", "c"]
    assert "nearest normal" not in caplog.text  # the recordings of a detector are not kept


def test_times_in_the_words_of_the_recording(fitted, abnormal, tmp_path, capsys):
    file = tmp_path / "other.csv"
    abnormal.assign(time=abnormal["time"].dt.tz_localize("Asia/Tokyo")).to_csv(file, index=False)
    assert explain(fitted, tmp_path, "--at", EVENT, "--json", recording=file) == 0
    assert json.loads(capsys.readouterr().out)["start"] == "2024-01-01 00:01:12+09:00"
    abnormal.assign(time=np.arange(len(abnormal)) / 10).to_csv(file, index=False)
    assert explain(fitted, tmp_path, "--at", 75, recording=file) == 0
    assert "from row 720, 72 s to 76.9 s, is abnormal" in capsys.readouterr().out
    abnormal.drop(columns="time").to_csv(file, index=False)
    assert_error(capsys, explain(fitted, tmp_path, "--at", 75, recording=file), "the recording has no times")


def test_window_without_a_score(fitted, abnormal, tmp_path, capsys):
    abnormal.drop(columns="time").assign(a=np.nan, b=np.nan, c=np.nan).to_csv(tmp_path / "missing.csv", index=False)
    assert explain(fitted, tmp_path, "--window", 2, "--json", recording=tmp_path / "missing.csv") == 0
    values = json.loads(capsys.readouterr().out)
    assert values["score"] is None
    assert values["health"] == "a missing; b missing; c missing"
    assert "start" not in values


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "one of the arguments --window --at is required"),
        (["--window", 121], "there is no window 121. There are 121, counted from 0."),
        (["--window", -1], "must be 0 to 1,000,000,000,000"),
        (["--at", "soon"], "expected a time such as those of the recording. Received: 'soon'"),
        (["--window", 0, "--at", EVENT], "not allowed with"),
        (["--window", 0, "--training", "typo.npy"], "typo.npy: not found. Name the normal windows"),
        (["--window", 0, "--output", "README.md/figure.png"], "README.md is not a folder. Name a file in a folder."),
        (["--window", 0, "--output", "figure.txt"], "Name a file that ends in .png or .svg or .pdf."),
    ],
)
def test_invalid_arguments_are_errors(fitted, tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "README.md").touch()
    assert_error(capsys, explain(fitted, tmp_path, *arguments), message)
    assert [item.name for item in tmp_path.iterdir()] == ["README.md"]


def test_one_recording_at_a_time(fitted, tmp_path, capsys):
    status = explain(fitted, tmp_path, fitted / "normal.csv", "--window", 0)
    assert_error(capsys, status, "unrecognized arguments")
    status = explain(fitted, tmp_path, "--window", 0, recording="*.csv")
    assert_error(capsys, status, "*.csv: expected one recording, found 2. Name one of them.")


@pytest.mark.slow
def test_detector_of_windows(detector, waves, tmp_path):
    """Its recording is an array of windows: normal, with an abnormal channel, and with NaN."""
    detector.save(tmp_path / "detector")
    np.save(tmp_path / "training.npy", waves)
    windows = waves[:3].copy()
    windows[1, :, 2] += 9
    windows[2, 3, 1] = np.nan
    np.save(tmp_path / "windows.npy", windows)
    command = ("scripts/explain.py", tmp_path / "windows.npy", "--detector", tmp_path / "detector")
    command += ("--output", tmp_path / "figure.png")
    finished = run_python(*command, "--window", 1, "--training", tmp_path / "training.npy", "--json")
    assert finished.returncode == 0, finished.stderr
    result = json.loads(finished.stdout)
    assert result["first_row"] == 24
    assert result["is_anomaly"] is True
    assert result["worst_channels"] == ["x", "y", "z"]  # the axes of one sensor
    assert result["threshold"] == pytest.approx(detector.threshold_)
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")
    finished = run_python(*command, "--window", 0)
    assert finished.returncode == 0, finished.stderr
    assert "the nearest normal window is not shown: " in finished.stderr
    assert "largest contributions: " in finished.stdout
    finished = run_python(*command, "--window", 2)
    assert "channels with a fault: y missing" in finished.stdout


@pytest.mark.slow
def test_detector_without_nearest_normal_score(waves, tmp_path):
    AMSLDetector("cae", score="reconstruction", epochs=1).fit(waves).save(tmp_path / "detector")
    np.save(tmp_path / "windows.npy", waves)
    arguments = (tmp_path / "windows.npy", "--detector", tmp_path / "detector", "--window", 0)
    outputs = ("--training", tmp_path / "windows.npy", "--output", tmp_path / "one.png", "--json")
    finished = run_python("scripts/explain.py", *arguments, *outputs)
    assert finished.returncode == 0, finished.stderr
    assert json.loads(finished.stdout)["nearest_normal"] is None
    (line,) = (line for line in finished.stderr.splitlines() if "nearest" in line)
    assert line.endswith("is not shown: the scores of the detector compare with no normal windows")
