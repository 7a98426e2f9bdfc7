"""The scale benchmark: made recordings, the exponent, the calculated plan, and the tables."""

import json

import numpy as np
import pandas as pd
import pytest

from benchmarks import scale, scale_cases
from benchmarks.scale_data import LENGTH, PART, Waves, write_recordings
from tests.benchmarks.conftest import table_rows, write_page

FITS = {
    "fit 10000": {"windows": 10_000, "seconds": 50.0, "peak_mb": 900.0},
    "fit 1000000": {"windows": 1_000_000, "seconds": 5000.0, "peak_mb": 2000.0},
}
RATES = {"reading Parquet": 1e6, "cutting": 4e6, "scoring": 500.0, "calibrating": 400.0}
MACHINE = {"cores": 2, "versions": {"ray": "2.60.0"}}


def test_waves_have_the_same_rows_whenever_they_are_read():
    waves = Waves(3, PART + 100, 5)
    first, second = (np.concatenate([part.x for part in waves.parts()]) for _ in range(2))
    assert first.shape == (PART + 100, 5)
    assert np.array_equal(first, second)
    assert np.concatenate([part.row for part in waves.parts()]).tolist() == list(range(PART + 100))
    other = next(Waves(4, 10, 5).parts()).x
    assert not np.array_equal(first[:10], other)


def test_fault_raises_three_channels_for_a_while():
    normal, faulty = (next(Waves(0, 1000, 5, has_fault=has_fault).parts()).x for has_fault in (False, True))
    difference = faulty - normal
    assert ((difference > 1).sum(axis=0) == [LENGTH, LENGTH, LENGTH, 0, 0]).all()


def test_written_recordings_are_those_that_are_made(tmp_path):
    write_recordings(tmp_path / "files", 2, 50, 4)
    table = pd.read_parquet(tmp_path / "files/000001.parquet")
    assert np.array_equal(table.iloc[:, 1:], next(Waves(1, 50, 4).parts()).x)
    assert (table["time"].iloc[1] - table["time"].iloc[0]).total_seconds() == 0.01


def test_exponent_by_hand():
    assert scale.exponent(list(FITS.values())) == pytest.approx(1.0)
    assert scale.exponent([{"windows": 10, "seconds": 1}, {"windows": 100, "seconds": 100}]) == pytest.approx(2)


def test_plan_by_hand(tmp_path):
    """The largest fit has 100 windows a second and worker; CAP has 36,868,000. One machine uses 16 cores, ten use 108."""
    write_page(tmp_path / "scale.md", scale.SECTION)
    results = tmp_path / "scale.json"
    results.write_text(json.dumps({**FITS, "rates": RATES, "machine": MACHINE}))
    scale.run(results, ["rates"], tmp_path)
    text = (tmp_path / "scale.md").read_text()
    rows = {row[0]: row[1:] for row in table_rows(text.partition("### All of CAP")[2])}
    hours = 36_868_000 / 100 / 16 / 3600
    assert rows["fitting, all passes"] == [f"{hours:.1f} h", f"{hours * 60 * 16 / 108:.1f} min"]
    seconds = 921_700_000 * (1 / 1e6 + 1 / 4e6) / 16
    assert rows["reading and cutting"] == [f"{seconds / 60:.1f} min", f"{seconds / 60 * 16 / 108:.1f} min"]
    seconds += 36_868_000 / 500 / 16
    assert rows["scoring, reading included"] == [f"{seconds / 3600:.1f} h", f"{seconds / 60 * 16 / 108:.1f} min"]
    assert rows["reading it once over the network"][0] == f"{921_700_000 * 84 / 1.25e9 / 60:.1f} min"
    assert "to the power of 1.00" in text


def test_scoring_is_compared_by_cpu():
    found = {
        "score local": {"windows": 1000, "seconds": 10.0, "is_same": True, "events": 3},
        "score local half": {"windows": 500, "seconds": 5.0, "events": 3},
        "score local, all CPUs": {"windows": 1000, "seconds": 8.0, "is_same": True, "events": 3},
        "score ray": {"windows": 1000, "seconds": 6.25, "is_same": True, "events": 3},
        "score ray half": {"windows": 500, "seconds": 3.75, "events": 3},
        "score killed": {"windows": 1000, "seconds": 10.0, "is_same": False, "events": 3},
        "machine": MACHINE,
    }
    rows = table_rows(scale.write_tables(found))
    assert [row[3:] for row in rows[1:]] == [
        ["100", "100", ""],
        ["62", "", "yes"],
        ["80", "100", "yes"],
        ["50", "", "no"],
    ]


def test_memory_is_shown_at_shares_of_the_time():
    memory = [(0.0, 100.0), (50.0, 600.0), (100.0, 600.0)]
    found = {"cap": {"rows": 9_000, "windows": 300, "seconds": 100.0, "memory": memory}, "machine": MACHINE}
    text = scale.write_tables(found)
    assert "200 MB after 10%, 600 MB after 50%, 600 MB after 90% of the time; at most\n600 MB" in text


@pytest.mark.slow
def test_memory_of_children_counts():
    import subprocess
    import sys
    import time

    with scale_cases.Memory() as memory:
        time.sleep(1.5)
        child = subprocess.Popen([sys.executable, "-c", "x = bytearray(300 * 2**20); input()"], stdin=subprocess.PIPE)
        time.sleep(3)
        child.communicate(b"\n")
    sizes = [size for _, size in memory.samples]
    assert max(sizes) - sizes[0] > 250
