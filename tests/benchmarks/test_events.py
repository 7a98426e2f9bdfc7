"""The events benchmark: events compared with labelled ones by hand, stored results, and the table."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from amsl_tf.data.recordings import Recording
from amsl_tf.datasets.series import Series
from benchmarks import events, series
from tests.benchmarks.conftest import table_rows, write_page
from tests.datasets.writers import write_skab

TOML = """
detector = []

[[dataset]]
name = "skab"
title = "SKAB"
development = ["valve1/*", "other/*"]
"""


def test_comparison_by_hand():
    """Windows of 10 rows, one every 5, from row 100 on; rows 117 to 121 and 150 to 151 are abnormal, of 60 rows.

    The windows 105 to 114, 110 to 119 and 115 to 124 are flagged, one event; and 135 to 144. The first labelled event is known
    with row 119, 2 rows after its beginning.
    """
    rows = np.arange(100, 155, 5)
    label = np.zeros(60, int)
    label[[17, 18, 19, 20, 21, 50, 51]] = 1
    found = [SimpleNamespace(first_row=105, last_row=124), SimpleNamespace(first_row=135, last_row=144)]
    scores = SimpleNamespace(first_row=rows, last_row=rows + 9, is_anomaly=np.isin(rows, [105, 110, 115, 135]), events=found)
    assert events.compare(scores, label, 100, 2.0) == {
        "labelled": 2,
        "found": 1,
        "false": 1,
        "normal_seconds": 106.0,
        "delays": [4.0],
    }


def test_a_fault_is_found_with_both_thresholds():
    rng = np.random.default_rng(0)
    x = np.sin(np.arange(3000)[:, None] / 4 + [0, 1]) + rng.normal(0, 0.1, (3000, 2))
    x[2500:2600, 1] += 3
    label = (np.arange(3000) >= 2500) & (np.arange(3000) < 2600)
    recording = Recording(x, "pump", label.astype(int))
    found = events.measure(Series("pump", recording[:2000], recording[2000:]), 40, rate=0.1)
    for setting in events.SETTINGS:
        assert (found[setting]["labelled"], found[setting]["found"]) == (1, 1)
        assert found[setting]["normal_seconds"] == 9000
        assert 0 <= found[setting]["delays"][0] <= 100


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "data/skab").mkdir(parents=True)
    write_skab(tmp_path / "data/skab")
    for page in events.PAGES:
        write_page(tmp_path / page, events.SECTION)
    (tmp_path / "series.toml").write_text(TOML)
    monkeypatch.setattr(series, "EXPERIMENTS", tmp_path / "series.toml")
    return tmp_path


def test_finished_series_are_not_repeated_and_the_table_sums_them(folder, monkeypatch):
    """Two series with half a day of normal time each: 3 of 4 events found, 6 false ones; delays of 1, 2 and 6 minutes."""
    calls = []

    def measured(series, steps, rate):
        calls.append(series.name)
        delays = [60.0] if len(calls) % 2 else [120.0, 360.0]
        own = {"labelled": 2, "found": len(delays), "false": 3, "normal_seconds": 43_200.0, "delays": delays}
        return dict.fromkeys(events.SETTINGS, own)

    monkeypatch.setattr(events, "measure", measured)
    results = folder / "events.json"
    events.run(folder / "data", results, folder)
    assert len(calls) == len(json.loads(results.read_text())["skab"]) == 2
    events.run(folder / "data", results, folder)
    assert len(calls) == 2
    for page in events.PAGES:
        _, *rows = table_rows((folder / page).read_text())
        expected = ["2", "4", "3", "6", "1.00", "6.0", "2.0 min", "5.2 min"]
        assert [row[2:] for row in rows] == [expected, expected]
        assert [row[:2] for row in rows] == [["SKAB", title] for title in events.TITLES.values()]
