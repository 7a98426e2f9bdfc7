"""scripts/explain.py: one figure of one window, and what it says."""

import json

import numpy as np
import pytest

from tests.conftest import run_python

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def made(detector, waves, tmp_path_factory):
    """A saved detector, its training windows, and windows of which the second has a strange channel."""
    folder = tmp_path_factory.mktemp("explain")
    detector.save(folder / "detector")
    np.save(folder / "training.npy", waves)
    strange = waves[:3].copy()
    strange[1, :, 2] += 9
    strange[2, 3, 1] = np.nan
    np.save(folder / "windows.npy", strange)
    return folder


def explain(made, *arguments):
    command = ("scripts/explain.py", "--detector", made / "detector", "--input", made / "windows.npy")
    return run_python(*command, "--output", made / "explanation.png", *arguments)


def test_the_strange_window(made, detector, waves):
    finished = explain(made, "--window", 1, "--training", made / "training.npy", "--json")
    assert finished.returncode == 0, finished.stderr
    said = json.loads(finished.stdout)
    assert said["first_row"] == 24
    assert said["is_anomaly"] is True
    assert said["worst_channels"][0] == "z"
    assert said["threshold"] == pytest.approx(detector.threshold_)
    assert (made / "explanation.png").read_bytes().startswith(b"\x89PNG")


def test_without_the_training_windows(made):
    finished = explain(made, "--window", 0)
    assert finished.returncode == 0, finished.stderr
    assert "the nearest normal window is not shown" in finished.stderr
    assert "worst channels: " in finished.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--window", 3], "there is no window 3. There are 3, counted from 0."),
        (["--window", 2], "windows.npy: window 2 holds NaN or infinity"),
        (["--window", -1], "must be 0 to 1,000,000,000,000"),
        (["--window", 0, "--training", "typo.npy"], "typo.npy: not found. Name the normal windows"),
        (["--window", 0, "--output", "explanation.txt"], "must end in .png, .svg, .pdf"),
    ],
)
def test_what_is_wrong_is_one_line(made, arguments, message):
    finished = explain(made, *arguments)
    assert finished.returncode == 2
    assert message in finished.stderr
    assert "Traceback" not in finished.stderr
