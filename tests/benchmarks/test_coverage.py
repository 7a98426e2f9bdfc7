"""The coverage benchmark: parts of a recording, intervals of the flagged share, stored results, and the table."""

import json

import numpy as np
import pytest

from amsl_tf import detector as detector_module
from amsl_tf.errors import AMSLError
from benchmarks import coverage, series
from benchmarks.coverage import block_interval, measure
from benchmarks.series_detectors import Detector
from tests.benchmarks.conftest import table_rows, write_page
from tests.conftest import ROOT
from tests.datasets.writers import write_skab

ENSEMBLE = Detector("ensemble", "ensemble", "amsl", {"network": "none", "score": "ensemble"}, windows=50)
TOML = """
[[dataset]]
name = "skab"
title = "SKAB"
development = ["valve1/*", "other/*"]

[[detector]]
name = "ensemble"
title = "ensemble"
kind = "amsl"
settings = { network = "none", score = "ensemble" }
windows = 50
"""


class Recorder:
    """A detector that keeps the windows it is fitted to, and flags those that begin with an odd number."""

    def fit(self, x):
        Recorder.fitted = x
        return self

    def predict(self, x):
        Recorder.tested = x
        return x[:, 0, 0].astype(int) % 2


@pytest.fixture
def recorder(monkeypatch):
    monkeypatch.setattr(detector_module.AMSLDetector, "from_config", lambda config: Recorder())


def test_last_fifth_is_tested_after_a_gap_of_a_window(recorder):
    """Of 500 rows, 0 to 379 are fitted to (400 less the gap of 20), and 400 to 499 are tested, at every row."""
    rows = np.arange(500, dtype=np.float32)[:, None]
    measured = measure(ENSEMBLE, rows, 20)
    assert Recorder.fitted[0, 0, 0] == 0
    assert 380 - 8 <= Recorder.fitted[-1, -1, 0] <= 379
    assert (Recorder.tested[0, 0, 0], Recorder.tested[-1, -1, 0]) == (400, 499)
    assert (measured["windows"], measured["tested"]) == (len(Recorder.fitted), 81)
    assert len(Recorder.fitted) == 46  # 361 possible windows, every eighth
    assert measured["flagged"] == 40 / 81


def test_recording_too_short_for_two_parts_is_not_measured(recorder):
    assert measure(ENSEMBLE, np.zeros((99, 1), np.float32), 20) is not None  # 59 and 20 rows
    assert measure(ENSEMBLE, np.zeros((95, 1), np.float32), 20) is None  # 19 rows to test


def test_interval_without_flagged_windows_is_that_of_the_binomial():
    """The largest p for which none of 10 blocks is flagged with probability .025: .308 in tables of Clopper and Pearson."""
    assert block_interval(np.zeros(100, bool), 10) == pytest.approx([0, 0.3085], abs=1e-4)
    assert block_interval(np.ones(100, bool), 10) == pytest.approx([0.6915, 1], abs=1e-4)


def test_interval_of_independent_decisions_is_that_of_the_normal_distribution():
    """2,000 decisions with share .3: .3 -+ 1.96 sqrt(.21 / 2000)."""
    flagged = np.random.default_rng(1).permutation(np.arange(2_000) < 600)
    assert block_interval(flagged, 1) == pytest.approx([0.28, 0.32], abs=0.003)


def test_interval_of_runs_is_wider_with_blocks():
    """In runs of 20 equal decisions, 2,000 windows are worth 100: the interval is about sqrt(20) times as wide."""
    flagged = np.repeat(np.random.default_rng(1).permutation(np.arange(100) < 30), 20)
    (low, high), (first, last) = block_interval(flagged, 100), block_interval(flagged, 1)
    assert 3 < (high - low) / (last - first) < 6


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "data/skab").mkdir(parents=True)
    write_skab(tmp_path / "data/skab")
    write_page(tmp_path / coverage.PAGE, coverage.SECTION)
    (tmp_path / "series.toml").write_text(TOML)
    monkeypatch.setattr(series, "EXPERIMENTS", tmp_path / "series.toml")
    names = ("valve1/0", "other/2")
    rates = {name: {"scores": {"ensemble": {"false_alarm_rate": rate}}} for name, rate in zip(names, (0.1, 0.3), strict=True)}
    (tmp_path / "series").mkdir()
    (tmp_path / "series/ensemble.skab.development.json").write_text(json.dumps({"series": rates}))
    return tmp_path


def run(folder):
    coverage.run(folder / "data", folder / "coverage", folder)


def test_finished_recordings_are_not_repeated(folder, monkeypatch):
    calls = []

    def counted(detector, x, steps):
        calls.append(len(x))
        return {"windows": 1, "tested": 1, "flagged": 0.5, "interval": [0.1, 0.9]}

    monkeypatch.setattr(coverage, "measure", counted)
    run(folder)
    count = len(calls)
    file = folder / "coverage/skab.json"
    stored = json.loads(file.read_text())
    assert count == len(stored["recordings"]) == 2
    del stored["recordings"]["valve1/0.csv"]
    stored["recordings"]["other/2.csv"]["flagged"] = 0.25
    file.write_text(json.dumps(stored))
    run(folder)
    assert len(calls) == count + 1
    again = json.loads(file.read_text())["recordings"]
    assert (again["valve1/0.csv"]["flagged"], again["other/2.csv"]["flagged"]) == (0.5, 0.25)
    file.write_text(file.read_text().replace('"windows": 50', '"windows": 60'))
    with pytest.raises(AMSLError, match=r"skab\.json: expected a result of the row ensemble of series\.toml"):
        run(folder)


def test_table_counts_intervals(folder):
    """Three recordings: the interval covers 2 %, is below it, and above it; the shares are 0, 1 % and 20 %."""
    values = {"a": (0.0, [0.0, 0.1]), "b": (0.01, [0.005, 0.015]), "c": (0.2, [0.1, 0.3])}
    recordings = {name: {"flagged": share, "interval": interval} for name, (share, interval) in values.items()}
    (folder / "coverage").mkdir()
    stored = {"configuration": {}, "recordings": recordings, "too_short": ["d"]}
    (folder / "coverage/skab.json").write_text(json.dumps(stored))
    sets, _ = series.read_experiments()
    coverage.write(folder / "coverage", folder, sets)
    _, skab, every = table_rows((folder / coverage.PAGE).read_text())
    assert skab[1:] == every[1:] == ["3", "1.0%", "16.2%", "1", "1", "1", "2", "20.0%", "28.0%"]
    assert (skab[0], every[0]) == ("SKAB", "all")


def test_missing_section_is_an_error_before_anything_is_measured(folder, monkeypatch):
    monkeypatch.setattr(coverage, "measure", lambda *_: pytest.fail("a recording was measured"))
    (folder / coverage.PAGE).write_text("")
    with pytest.raises(AMSLError, match="coverage"):
        run(folder)


def test_committed_table_is_up_to_date(tmp_path):
    page = tmp_path / coverage.PAGE
    committed = (ROOT / "docs" / coverage.PAGE).read_text()
    page.write_text(committed)
    sets, _ = series.read_experiments()
    coverage.write(ROOT / "benchmarks/results/coverage", tmp_path, sets)
    assert page.read_text() == committed
