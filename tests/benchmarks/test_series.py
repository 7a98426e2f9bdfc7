"""The series benchmark: experiments can be run, runs resume, looks at test series are counted, and tables show the results."""

import json
import multiprocessing
import os
import signal
import time
from functools import partial

import numpy as np
import pytest

from amsl_tf.config import DetectorConfig
from amsl_tf.data.recordings import Recording
from amsl_tf.datasets import DATASETS
from amsl_tf.datasets.series import Series, SeriesDataset
from amsl_tf.errors import AMSLError, DataError
from benchmarks import series, series_detectors, series_page
from benchmarks.peers import PEERS
from benchmarks.rows import OWN
from benchmarks.series import SeriesSet, evaluate_series, read_experiments
from benchmarks.series_detectors import Detector, fit, split
from tests.benchmarks.conftest import table_rows, write_page
from tests.datasets.writers import write_skab

SETTINGS = """
[[dataset]]
name = "skab"
title = "SKAB"
development = ["valve1/*", "other/*"]

[[detector]]
name = "z_score"
title = "largest absolute z-score"

[[detector]]
name = "pca_steps"
title = "PCA residual"
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "data/skab").mkdir(parents=True)
    write_skab(tmp_path / "data/skab")
    write_page(tmp_path / series_page.PAGE, series_page.SECTION)
    (tmp_path / "series.toml").write_text(SETTINGS)
    monkeypatch.setattr(series, "EXPERIMENTS", tmp_path / "series.toml")
    return tmp_path


def run(folder, **settings):
    arguments = {"only": ["z_score"], "datasets": None, "final": False, "again": None, **settings}
    series.run(folder / "data", folder / "results", tables=folder, **arguments)


def read(folder, name):
    return json.loads((folder / f"results/{name}.json").read_text())


def test_every_experiment_can_be_run():
    sets, detectors = read_experiments()
    for item in sets:
        assert issubclass(DATASETS[item.name], SeriesDataset)
    assert {detector.name for detector in detectors if detector.kind == "peer"} == set(PEERS)
    for detector in detectors:
        if detector.kind == "amsl":
            DetectorConfig.from_settings(**detector.settings)


def test_development_and_test_series_share_none():
    names = [f"{folder}/{number}" for folder in ("valve1", "valve2", "other") for number in range(3)]
    item = SeriesSet("skab", "SKAB", ["valve1/*", "other/1"])
    parts = [item.select(names, part) for part in ("development", "test")]
    assert parts == [
        ["valve1/0", "valve1/1", "valve1/2", "other/1"],
        ["valve2/0", "valve2/1", "valve2/2", "other/0", "other/2"],
    ]
    with pytest.raises(DataError, match="expected the development series other/1, found none"):
        item.select(names[:3], "development")


def test_finished_series_are_not_repeated(folder):
    run(folder)
    result = read(folder, "z_score.skab.development")
    assert set(result["series"]) == {"valve1/0", "other/2"}
    assert 50 < result["peak_memory_mb"] < 5000
    assert {"python", "numpy"} <= set(result["machine"]["versions"])
    first, other = result["series"]
    assert result["series"][first]["scores"][OWN]["auroc"] > 0.9
    del result["series"][first]
    result["series"][other]["scores"][OWN]["vus_pr"] = 0.125
    (folder / "results/z_score.skab.development.json").write_text(json.dumps(result))
    run(folder)
    again = read(folder, "z_score.skab.development")["series"]
    assert again[first]["scores"][OWN]["vus_pr"] > 0.5
    assert again[other]["scores"][OWN]["vus_pr"] == 0.125
    assert not (folder / "results/z_score.skab.test.json").exists()


def test_result_with_other_settings_is_an_error(folder):
    run(folder)
    file = folder / "results/z_score.skab.development.json"
    file.write_text(file.read_text().replace('"seed": 0', '"seed": 7'))
    with pytest.raises(AMSLError, match=r"expected a result of configuration .*'seed': 0.* Received: .*'seed': 7.* Remove"):
        run(folder)


def test_looks_at_test_series_are_counted(folder):
    run(folder, final=True)
    run(folder, final=True)
    result = read(folder, "z_score.skab.test")
    assert set(result["series"]) == {"valve2/0"}
    assert [look["reason"] for look in result["looks"]] == [None]
    run(folder, final=True, again="a fault in the reader")
    looks = read(folder, "z_score.skab.test")["looks"]
    assert [look["reason"] for look in looks] == [None, "a fault in the reader"]
    (row,) = [
        row for row in table_rows((folder / series_page.PAGE).read_text()) if row[0].startswith("largest") and row[-1] == "2"
    ]
    assert row[-1] == "2"
    with pytest.raises(AMSLError, match="use it with --final"):
        run(folder, again="no reason")
    with pytest.raises(AMSLError, match="name a reason"):
        run(folder, final=True, again=" ")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"only": ["typo"]}, "unknown detector 'typo'; expected one of z_score, pca_steps"),
        ({"datasets": ["typo"]}, "unknown data set 'typo'; expected one of skab"),
    ],
)
def test_unknown_names(folder, settings, message):
    with pytest.raises(AMSLError, match=message):
        run(folder, **settings)


def test_missing_data_and_missing_section_are_errors_before_anything_runs(folder):
    (folder / "data/skab").rename(folder / "data/typo")
    with pytest.raises(DataError, match="expected the files of SKAB"):
        run(folder)
    (folder / "data/typo").rename(folder / "data/skab")
    (folder / series_page.PAGE).write_text("nothing")
    with pytest.raises(AMSLError, match="expected the marker lines"):
        run(folder)
    assert not (folder / "results").exists()


def make_series(rng, steps=600):
    time = np.arange(2 * steps)
    x = np.sin(time[:, None] / 5 + np.arange(2)) + rng.normal(0, 0.1, (2 * steps, 2))
    label = np.zeros(2 * steps, int)
    label[steps + 100 : steps + 150] = 1
    x[label == 1] *= 4
    recording = Recording(x, "waves", label)
    return Series("waves", recording[:steps], recording[steps:])


def test_pieces():
    x = np.arange(100)[:, None]
    for steps, lengths in ((10, [20] * 5), (16, [34, 33, 33]), (30, [100]), (60, [100])):
        pieces = split(x, steps)
        assert [len(piece) for piece in pieces] == lengths
        np.testing.assert_array_equal(np.concatenate(pieces), x)


def test_thresholds_keep_the_rate_on_pieces_that_were_not_fitted_to(rng):
    x = rng.normal(size=(5000, 2)).astype(np.float32)
    for held_out in (False, True):
        fitted = fit(Detector("z_score", "", held_out=held_out), x, 20)
        scores = fitted.score(rng.normal(size=(5000, 2)).astype(np.float32))[OWN]
        assert np.mean(scores >= fitted.thresholds[OWN]) == pytest.approx(0.02, abs=0.008)


@pytest.mark.parametrize("kind", ["amsl", "peer"])
def test_evaluation_of_a_series(rng, kind):
    scores = {"score": "nearest_normal", "extra_scores": ["reconstruction"]}
    settings = {"network": "cae", "epochs": 1, **scores} if kind == "amsl" else {}
    waves = make_series(rng)
    result = evaluate_series(fit(Detector("z_score", "", kind, settings), waves.train.x, 16), waves, 0.5)
    assert result["seconds"] > 0
    assert set(result["scores"]) == ({"nearest_normal", "reconstruction"} if kind == "amsl" else {OWN})
    decisive = next(iter(result["scores"].values()))
    assert decisive["auroc"] > 0.9
    assert (decisive["events"], decisive["events_found"]) == (1, 1)
    assert decisive["false_alarms_per_hour"] == pytest.approx(decisive["false_alarms"] / (550 * 2 / 3600))


def test_recording_shorter_than_a_window(rng):
    with pytest.raises(DataError, match="at least 16 normal time steps, the length of a window, found 15"):
        fit(Detector("z_score", ""), rng.normal(size=(15, 2)), 16)


def test_holm_by_hand():
    assert series_page.adjust([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert series_page.adjust([0.5, 0.9]) == pytest.approx([1.0, 1.0])


def make_row(title, **values):
    metrics = {name: {str(number): {"vus_pr": value} for number, value in enumerate(found)} for name, found in values.items()}
    return series_page.Row(title, metrics, {})


def test_ranks_by_hand():
    rows = [
        make_row("a", x=[0.9, 0.8], y=[0.7]),
        make_row("b", x=[0.5, 0.9], y=[0.2]),
        make_row("c", x=[0.5, 0.1], y=[0.1]),
        make_row("incomplete", x=[1.0, 1.0]),
    ]
    ranks, p_values = series_page.rank(rows, ["x", "y"])
    assert ranks == pytest.approx({"a": 1.25, "b": 1.875, "c": 2.875})  # a: (1 + 2) / 2 on x and 1 on y
    assert set(p_values) == {"b", "c"}
    assert rows[0].overall("vus_pr", ["x", "y"]) == pytest.approx((0.85 + 0.7) / 2)  # each data set counts once
    assert rows[3].overall("vus_pr", ["x", "y"]) is None


def test_p_values_by_hand():
    """Better in all of six series: 2 of 64 signs are as extreme, times two comparisons."""
    rows = [
        make_row(name, x=[value + 0.01 * number for number in range(6)]) for name, value in (("a", 0.9), ("b", 0.2), ("c", 0.1))
    ]
    assert series_page.rank(rows, ["x"])[1] == pytest.approx({"b": 2 * 2 / 64, "c": 2 * 2 / 64})


def test_incomplete_runs_are_not_shown(folder):
    run(folder)
    file = folder / "results/z_score.skab.development.json"
    result = json.loads(file.read_text())
    assert series_page.read_rows(folder / "results", "development", {"skab": "SKAB"}, {"z_score": "z"})
    del result["series"]["other/2"]
    file.write_text(json.dumps(result))
    assert not series_page.read_rows(folder / "results", "development", {"skab": "SKAB"}, {"z_score": "z"})


def test_killed_process_is_an_error(folder, monkeypatch):
    monkeypatch.setattr(series, "_report", kill_process)
    with pytest.raises(AMSLError, match="z_score on skab: its process failed, or was killed"):
        run(folder)


@pytest.mark.parametrize("error", [MemoryError, SystemExit])
def test_failed_process_is_an_error(folder, monkeypatch, error):
    monkeypatch.setattr(series, "_report", partial(fail, error))
    with pytest.raises(AMSLError, match="z_score on skab: its process failed"):
        run(folder)


def fail(error, *_):
    raise error


def test_interruption_ends_the_process_of_a_run(folder, monkeypatch):
    """The process would go on for hours, and write its result beside that of the next run."""
    monkeypatch.setattr(series, "_report", wait)
    monkeypatch.setattr("multiprocessing.connection.Connection.recv", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run(folder)
    assert not multiprocessing.active_children()


def wait(*_):
    time.sleep(60)


def interrupt(_):
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    "damage",
    [
        lambda result: result.update(series=[]),
        lambda result: result["series"].update({"valve1/0": None}),
        lambda result: result["series"]["valve1/0"]["scores"][OWN].pop("vus_pr"),
        lambda result: result["series"]["valve1/0"]["scores"][OWN].update(vus_pr=float("nan")),
        lambda result: result.pop("peak_memory_mb"),
        lambda result: result["series"].update({"typo": result["series"]["valve1/0"]}),
    ],
)
def test_damaged_results_are_errors(folder, damage):
    run(folder)
    file = folder / "results/z_score.skab.development.json"
    result = json.loads(file.read_text())
    damage(result)
    file.write_text(json.dumps(result))
    with pytest.raises(AMSLError, match=r"z_score.skab.development.json: .*Remove"):
        run(folder)


def kill_process(*_):
    os.kill(os.getpid(), signal.SIGKILL)


def test_peers_that_are_held_out_never_see_the_last_piece(rng, monkeypatch):
    seen = []

    def fit_peer(name, recordings, window, seed):
        seen.append(len(recordings))
        return lambda others: [np.arange(len(other), dtype=float) for other in others]

    monkeypatch.setattr(series_detectors, "fit_peer", fit_peer)
    x = rng.normal(size=(500, 2)).astype(np.float32)
    assert fit(Detector("cnn", "", held_out=True), x, 20).thresholds[OWN] == pytest.approx(np.percentile(np.arange(100), 98))
    assert seen == [4]
    fit(Detector("z_score", ""), x, 20)
    assert seen == [4, 5, 4, 4, 4, 4, 4]
