"""scripts/score.py: the same table from the detector and from a server."""

import numpy as np
import pandas as pd
import pytest

from tests.conftest import close, run_python
from tests.serving.conftest import embedded

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def made(detector, waves, tmp_path_factory):
    """A saved detector, and a recording of five windows with a gap in the fourth and seven rows to spare."""
    folder = tmp_path_factory.mktemp("score")
    detector.save(folder / "detector")
    rows = waves[:6].reshape(-1, 3)[: 5 * 24 + 7].copy()
    rows[3 * 24 + 2, 1] = np.nan
    table = pd.DataFrame(rows, columns=["x", "y", "z"])
    table.insert(0, "time", [f"10:{row}" for row in range(len(rows))])
    table.to_csv(folder / "recording.csv", index=False)
    return folder


def score(made, *arguments, output="scores.csv"):
    command = ["scripts/score.py", "--input", made / "recording.csv", "--output", made / output, "--columns", "x", "y", "z"]
    return run_python(*command, *arguments)


def check(table, detector, waves):
    assert table["first_row"].tolist() == [0, 24, 48, 72, 96]
    assert table["valid"].tolist() == [True, True, True, False, True]
    assert table["is_anomaly"][3]
    whole = [0, 1, 2, 4]
    close(table["score"].to_numpy()[whole], detector.decision_function(waves[whole]))


def test_with_the_detector_and_with_a_server(made, detector, exported, waves):
    finished = score(made, "--detector", made / "detector")
    assert finished.returncode == 0, finished.stderr
    assert "5 windows" in finished.stdout
    assert "1 of them not valid" in finished.stdout
    check(pd.read_csv(made / "scores.csv"), detector, waves)
    with embedded(exported.parent) as (address, _):
        for kind in ("rest", "grpc"):
            finished = score(made, "--server", address.url(kind), "--model", "waves", output=f"{kind}.parquet")
            assert finished.returncode == 0, finished.stderr
            check(pd.read_parquet(made / f"{kind}.parquet"), detector, waves)


def test_a_stride(made):
    assert score(made, "--detector", made / "detector", "--stride", 1, output="dense.csv").returncode == 0
    assert pd.read_csv(made / "dense.csv")["first_row"].tolist() == list(range(5 * 24 + 7 - 24 + 1))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--detector", "typo"], "typo/config.json: not found"),
        (["--columns", "x"], "expected 3 channels, found 1"),
        (["--columns", "time", "x", "y"], "column time, row 0 (from 0): expected a number"),
        (["--stride", 0], "must be 1 to 1,000,000,000"),
        (["--output", "scores.txt"], "ends in .csv or .parquet"),
        (["--server", "localhost:8501"], "must start with http://"),
    ],
)
def test_mistakes_are_one_line(made, arguments, message):
    finished = (
        score(made, "--detector", made / "detector", *arguments) if "--server" not in arguments else score(made, *arguments)
    )
    assert finished.returncode == 2
    assert message in finished.stderr
    assert "Traceback" not in finished.stderr
