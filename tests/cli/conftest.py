"""Recordings, a detector fitted to them, and a helper for commands in this process."""

import numpy as np
import pandas as pd
import pytest

from amsl_tf.cli import main

ABNORMAL = slice(700, 800)  # rows of abnormal.csv


def run(*arguments):
    """Runs a command in this process, and returns its exit status."""
    try:
        main([str(argument) for argument in arguments])
    except SystemExit as finished:
        return finished.code
    return 0


def assert_error(capsys, status, *messages):
    """Asserts exit status 2, one line on stderr with the messages, and nothing on stdout."""
    output = capsys.readouterr()
    assert (status, output.out) == (2, ""), output
    (line,) = output.err.splitlines()
    assert "error: " in line
    for message in messages:
        assert message in line


def make_table(rows=1500, seed=0):
    """A table of three channels with a period of 25 rows, at 10 Hz."""
    rng, time = np.random.default_rng(seed), np.arange(rows)
    waves = np.sin(2 * np.pi * time[:, None] / 25 + np.arange(3)) + rng.normal(0, 0.1, (rows, 3))
    table = pd.DataFrame(waves.round(4), columns=["a", "b", "c"])
    table.insert(0, "time", pd.date_range("2024-01-01", periods=rows, freq="100ms"))
    return table


@pytest.fixture(scope="session")
def abnormal():
    """A table with labels, in which channel b is 3 too large in rows 700 to 799."""
    table = make_table(seed=1)
    table.loc[ABNORMAL.start : ABNORMAL.stop - 1, "b"] += 3
    table["fault"] = 0
    table.loc[ABNORMAL.start : ABNORMAL.stop - 1, "fault"] = 1
    return table


@pytest.fixture(scope="session")
def fitted(abnormal, tmp_path_factory):
    """A folder with normal.csv, abnormal.csv and the detector of `amsl fit` for windows of 50 rows, one every 12 rows."""
    folder = tmp_path_factory.mktemp("fitted")
    make_table().to_csv(folder / "normal.csv", index=False)
    abnormal.to_csv(folder / "abnormal.csv", index=False)
    assert run("fit", folder / "normal.csv", "--detector", folder / "detector", "--window", "5s", "--quiet") == 0
    return folder
