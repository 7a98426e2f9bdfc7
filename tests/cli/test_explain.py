"""The command explain: the figure of a window, and its result."""

import json

import numpy as np
import pytest

from amsl_tf import AMSLDetector
from tests.conftest import run_python

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def saved(detector, waves, tmp_path_factory):
    """A saved detector, its training windows, and three windows: normal, with an abnormal channel, and with NaN."""
    folder = tmp_path_factory.mktemp("explain")
    detector.save(folder / "detector")
    np.save(folder / "training.npy", waves)
    windows = waves[:3].copy()
    windows[1, :, 2] += 9
    windows[2, 3, 1] = np.nan
    np.save(folder / "windows.npy", windows)
    return folder


def explain(saved, *arguments):
    command = ("scripts/explain.py", "--detector", saved / "detector", "--input", saved / "windows.npy")
    return run_python(*command, "--output", saved / "explanation.png", *arguments)


def test_abnormal_window(saved, detector, waves):
    finished = explain(saved, "--window", 1, "--training", saved / "training.npy", "--json")
    assert finished.returncode == 0, finished.stderr
    result = json.loads(finished.stdout)
    assert result["first_row"] == 24
    assert result["is_anomaly"] is True
    assert result["worst_channels"] == ["x", "y", "z"]  # the axes of one sensor
    assert result["threshold"] == pytest.approx(detector.threshold_)
    assert (saved / "explanation.png").read_bytes().startswith(b"\x89PNG")


def test_without_training_windows(saved):
    finished = explain(saved, "--window", 0)
    assert finished.returncode == 0, finished.stderr
    assert "the nearest normal window is not shown" in finished.stderr
    assert "largest contributions: " in finished.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--window", 3], "there is no window 3. There are 3, counted from 0."),
        (["--window", 2], "windows.npy: window 2 holds NaN or infinity"),
        (["--window", -1], "must be 0 to 1,000,000,000,000"),
        (["--window", 0, "--training", "typo.npy"], "typo.npy: not found. Name the normal windows"),
        (["--window", 0, "--output", "README.md/explanation.png"], "README.md is not a folder. Name a file in a folder."),
        (["--window", 0, "--output", "explanation.txt"], "Name a file that ends in .png or .svg or .pdf."),
    ],
)
def test_invalid_arguments_are_errors(saved, arguments, message):
    finished = explain(saved, *arguments)
    assert finished.returncode == 2
    assert message in finished.stderr
    assert "Traceback" not in finished.stderr


def test_detector_without_nearest_normal_score(waves, tmp_path):
    AMSLDetector("cae", score="reconstruction", epochs=1).fit(waves).save(tmp_path / "detector")
    np.save(tmp_path / "windows.npy", waves)
    arguments = ("--detector", tmp_path / "detector", "--input", tmp_path / "windows.npy", "--window", 0)
    outputs = ("--training", tmp_path / "windows.npy", "--output", tmp_path / "one.png", "--json")
    finished = run_python("scripts/explain.py", *arguments, *outputs)
    assert finished.returncode == 0, finished.stderr
    assert json.loads(finished.stdout)["nearest_normal"] is None
    (line,) = (line for line in finished.stderr.splitlines() if "nearest" in line)
    assert line.endswith("is not shown: the scores of the detector compare with no normal windows")
