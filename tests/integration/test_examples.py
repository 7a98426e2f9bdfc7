"""The examples run from a folder that is not the repository's."""

import re

import pytest

from tests.conftest import ROOT, run_python

EXAMPLES = sorted(file.name for file in (ROOT / "examples").glob("*.py"))


def run_example(name, folder):
    program = str(ROOT / "examples" / name)
    code = f"import os, runpy; os.chdir({str(folder)!r}); runpy.run_path({program!r}, run_name='__main__')"
    finished = run_python("-c", code)
    assert finished.returncode == 0, finished.stderr
    assert not any(folder.iterdir()), "an example leaves files"
    return finished.stdout


def test_every_example_has_a_test():
    assert set(EXAMPLES) == {"custom_network.py", "own_recordings.py"}


@pytest.mark.slow
def test_own_recordings_flags_the_stuck_sensor_and_nothing_else(tmp_path):
    table = re.findall(
        r"^ *(\d+) +(-?[\d.]+)  (abnormal|normal) +(\d)$", run_example("own_recordings.py", tmp_path), re.MULTILINE
    )
    assert len(table) == 29
    flagged = {int(row): int(channel) for row, _, decision, channel in table if decision == "abnormal"}
    assert {300, 320, 340, 360} <= flagged.keys() <= {280, 300, 320, 340, 360, 380}  # the fault is in rows 300 to 399
    assert {flagged[row] for row in (300, 320, 340, 360)} == {1}


@pytest.mark.slow
def test_custom_network_is_saved_and_loaded(tmp_path):
    printed = run_example("custom_network.py", tmp_path)
    assert "network: bottleneck, width 2" in printed
    assert "twice the amplitude: 100%" in printed
