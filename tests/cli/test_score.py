"""The command score: equal tables from a detector and from a server."""

import numpy as np
import pandas as pd
import pytest

from tests.conftest import close, run_python
from tests.serving.conftest import embedded

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def saved(detector, waves, tmp_path_factory):
    """A saved detector, and a recording of five windows and seven more rows, with a missing value in the fourth window."""
    folder = tmp_path_factory.mktemp("score")
    detector.save(folder / "detector")
    rows = waves[:6].reshape(-1, 3)[: 5 * 24 + 7].copy()
    rows[3 * 24 + 2, 1] = np.nan
    table = pd.DataFrame(rows, columns=["x", "y", "z"])
    table.insert(0, "time", [f"10:{row}" for row in range(len(rows))])
    table.to_csv(folder / "recording.csv", index=False)
    return folder


def score(saved, *arguments, output="scores.csv"):
    command = ["scripts/score.py", "--input", saved / "recording.csv", "--output", saved / output, "--columns", "x", "y", "z"]
    return run_python(*command, *arguments)


def assert_scores(table, detector, waves):
    assert table["first_row"].tolist() == [0, 24, 48, 72, 96]
    assert table["valid"].tolist() == [True, True, True, False, True]
    assert table["is_anomaly"][3]
    assert table["health"].fillna("").tolist() == ["", "", "", "y missing", ""]
    valid = [0, 1, 2, 4]
    close(table["score"].to_numpy()[valid], detector.decision_function(waves[valid]))


def test_detector_and_server_have_equal_scores(saved, detector, exported, waves):
    finished = score(saved, "--detector", saved / "detector")
    assert finished.returncode == 0, finished.stderr
    assert "5 windows" in finished.stdout
    assert "1 of them invalid" in finished.stdout
    assert_scores(pd.read_csv(saved / "scores.csv"), detector, waves)
    with embedded(exported.parent) as (address, _):
        for interface in ("rest", "grpc"):
            finished = score(saved, "--server", address.url(interface), "--model", "waves", output=f"{interface}.parquet")
            assert finished.returncode == 0, finished.stderr
            assert_scores(pd.read_parquet(saved / f"{interface}.parquet"), detector, waves)


def test_stride(saved):
    assert score(saved, "--detector", saved / "detector", "--stride", 1, output="dense.csv").returncode == 0
    assert pd.read_csv(saved / "dense.csv")["first_row"].tolist() == list(range(5 * 24 + 7 - 24 + 1))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--detector", "typo"], "typo/config.json: not found"),
        (["--columns", "x"], "expected 3 channels, found 1"),
        (["--columns", "x", "y", "y"], "column y is named twice"),
        (["--columns", "time", "x", "y"], "column time, row 0 (from 0): expected a number"),
        (["--stride", 0], "must be 1 to 1,000,000,000"),
        (["--output", "scores.txt"], "ends in .csv or .parquet"),
        (["--output", "README.md/scores.csv"], "README.md is not a folder. Name a file in a folder."),
        (["--server", "localhost:8501"], "must start with http://"),
    ],
)
def test_invalid_arguments_are_errors(saved, arguments, message):
    finished = (
        score(saved, "--detector", saved / "detector", *arguments) if "--server" not in arguments else score(saved, *arguments)
    )
    assert finished.returncode == 2
    assert message in finished.stderr
    assert "Traceback" not in finished.stderr
