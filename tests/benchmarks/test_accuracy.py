"""The accuracy benchmark: experiments can be run, finished runs are not repeated, and tables show the results."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from amsl_tf.config import DetectorConfig, Preset
from amsl_tf.data.splits import PROTOCOLS
from amsl_tf.errors import AMSLError
from amsl_tf.networks.amsl import AMSLConfig
from amsl_tf.scoring.features.signal import describe_signal
from amsl_tf.scoring.members.base import Evidence
from amsl_tf.scoring.members.nearest_normal import NearestNormal
from amsl_tf.training.precision import training_policy
from benchmarks import accuracy, accuracy_table, controls, features
from benchmarks.baselines_table import COMPARED
from benchmarks.experiments import Experiment, Run, read_baselines, read_experiments
from benchmarks.parts import DEFAULTS, read_parts
from tests.benchmarks.conftest import table_rows, write_page
from tests.conftest import ROOT

PAGES = (accuracy_table.README, accuracy_table.SUMMARY)


@pytest.fixture
def generated(generated):
    for page in PAGES:
        write_page(generated / page, accuracy_table.SECTION, "old\n")
    return generated


def run(generated, **settings):
    arguments = {"only": ["nearest_raw"], "protocols": ["window"], **settings}
    accuracy.run(generated, generated / "results", generated / "work", tables=generated, **arguments)


def section(page):
    """Returns the generated section of a page."""
    before, after = accuracy_table.SECTION.split(page)
    return page.read_text().removeprefix(before).removesuffix(after).strip()


def test_every_experiment_can_be_run():
    experiments, test_subjects = read_experiments()
    assert len({item.name for item in experiments}) == len(experiments)
    for item in experiments:
        assert item.runs
        assert item.runs.get("subject", 0) <= len(test_subjects)
        if item.kind == "detector":
            config = DetectorConfig.from_settings(**{**DEFAULTS, **item.settings})
            if item.network_of:
                (original,) = read_experiments([item.network_of])[0]
                other = DetectorConfig.from_settings(**{**DEFAULTS, **original.settings})
                assert (config.network, config.training) == (other.network, other.training)
        if item.kind == "control":
            assert (item.control or item.name) in {*controls.CONTROLS, controls.SIGNAL}


@pytest.mark.parametrize("divisor", [1, 2, 4, 8, 16])
def test_widths_are_those_of_a_preset(divisor):
    (experiment,) = read_experiments([f"width_{divisor}"])[0]
    config = DetectorConfig.from_settings(**{**DEFAULTS, **experiment.settings})
    assert config.network == Preset(divisor, config.training.epochs).make_network(AMSLConfig)
    assert config.training.epochs == 4
    assert config.scores == ("nearest_normal", "reconstruction")


def test_unknown_experiment_is_an_error(generated):
    with pytest.raises(AMSLError, match="unknown experiment 'typo'"):
        run(generated, only=["typo"])


@pytest.mark.parametrize("page", PAGES)
def test_missing_section_is_an_error_before_anything_runs(page, generated):
    (generated / page).write_text("nothing")
    with pytest.raises(AMSLError, match="expected the marker lines"):
        run(generated)
    assert not (generated / "results").exists()


def test_finished_runs_are_not_repeated(generated):
    run(generated)
    files = sorted((generated / "results").iterdir())
    assert [file.name for file in files] == [f"nearest_raw.window.{number}.json" for number in range(3)]
    scores = json.loads(files[0].read_text())["scores"]["distance"]
    assert scores["auroc"] == 1.0
    files[0].write_text(files[0].read_text().replace('"auroc": 1.0', '"auroc": 0.25'))
    files[2].unlink()
    run(generated)
    assert sorted((generated / "results").iterdir()) == files
    assert "0.750 ± 0.433" in (generated / "RESULTS.md").read_text()  # of 0.25, 1 and 1


def test_result_with_other_settings_is_an_error(generated):
    run(generated)
    file = generated / "results/nearest_raw.window.1.json"
    file.write_text(file.read_text().replace('"seed": 1', '"seed": 7'))
    with pytest.raises(AMSLError, match=r"window\.1\.json: expected a result of .*'seed': 1.* Received: .*'seed': 7"):
        run(generated)


def test_signal_control_is_the_signal_member_of_the_score(rng):
    """With constant errors and latents the score is the signal member times its share of the weights."""
    train, test = (rng.normal(size=(count, 20, 6)).astype(np.float32) for count in (30, 5))
    groups = np.repeat(["a", "b", "c"], 10)

    def evidence(x):
        constant = np.ones((len(x), 1))
        return Evidence(None, {"error": constant, "latent": constant, "signal": describe_signal(x, 3).numpy()})

    score = NearestNormal(DetectorConfig())
    training_scores = score.fit(evidence(train), groups)
    alone, score_alone, _ = controls.fit("signal", train, groups)
    share = score.weights["signal"] / sum(score.weights.values())
    np.testing.assert_allclose(alone * share, training_scores, atol=1e-5)
    np.testing.assert_allclose(score_alone(test), score.member_scores(evidence(test))["signal"], atol=1e-9)


def test_tables_show_experiments_without_a_result(generated):
    accuracy_table.write(generated / "results", generated)
    text = (generated / "RESULTS.md").read_text()
    rows = table_rows(text)
    assert ["AMSL", "", "not run", *[""] * 5, "0 of 3", "0.9352"] in rows  # in the protocol of the paper
    assert ["AMSL", "", "not run", *[""] * 5, "0 of 3", ""] in rows  # for unseen subjects
    baselines = len(PROTOCOLS) * len([*read_baselines(), *COMPARED])
    shown = sum(len(item.runs) * (1 + item.headline) + item.cost for item in read_experiments()[0])
    assert text.count("not run") == baselines + shown


def test_summary_page_has_the_summary_of_the_results(generated):
    run(generated, only=["nearest_spectra"])
    summary = section(generated / accuracy_table.SUMMARY)
    assert summary in (generated / "RESULTS.md").read_text()
    assert ["nearest neighbour, log spectra", "distance"] in [row[:2] for row in table_rows(summary)]


def test_readme_has_seven_rows_with_both_protocols(generated):
    run(generated, only=["nearest_norm_spectra"])
    head, *rows = table_rows(section(generated / accuracy_table.README))
    assert head == ["method", "score", "F1, window", "AUROC, window", "F1, subject", "AUROC, subject"]
    assert len(rows) == 7
    assert rows[0] == ["AMSL", "nearest normal", "", "", "", ""]
    (control,) = [row for row in rows if row[0] == "nearest neighbour, log spectra of sensor norms"]
    assert control[1] == "distance"
    assert control[3] == "1.000 ± 0.000"
    assert control[4:] == ["", ""]


def test_committed_tables_are_up_to_date(tmp_path):
    (tmp_path / "docs").mkdir()
    for page in PAGES:
        (tmp_path / page).write_text((ROOT / page).read_text())
    accuracy_table.write(ROOT / "benchmarks/results/accuracy", tmp_path)
    for page in (*PAGES, Path("RESULTS.md")):
        assert (tmp_path / page).read_text() == (ROOT / page).read_text()


def test_test_subjects_are_not_trained_on(generated):
    job = Run(Experiment("x", "x", "control", {"subject": 1}), "subject", 0)
    parts = read_parts(generated, job, [["p6"]])
    assert set(parts.groups) == {"p1", "p2"}
    assert parts.axes == 1  # there is no sensors.json
    assert len(parts.train) == 34
    assert parts.is_abnormal.tolist() == [False] * 16 + [True] * 5


def test_another_partition_of_the_activities(generated):
    x = {kind: np.load(generated / f"{kind}.npy") for kind in ("normal", "abnormal")}
    experiment = Experiment("x", "x", "control", {"subject": 1}, abnormal=["a09"])
    parts = read_parts(generated, Run(experiment, "subject", 0), [["p6"]])
    np.testing.assert_array_equal(parts.abnormal.x, x["normal"][:25])
    np.testing.assert_array_equal(parts.normal.x, np.concatenate([x["normal"][25:], x["abnormal"]]))
    assert set(parts.normal.activity) == {"a05", "a10"}
    assert set(parts.groups) == {"p1", "p2"}
    assert set(parts.abnormal.subject[parts.split.test_abnormal]) == {"p6"}


def test_result_of_another_partition_is_an_error(generated, monkeypatch):
    one = Experiment("nearest_raw", "raw", "control", {"window": 1})
    monkeypatch.setattr(accuracy, "read_experiments", lambda names: ([one], []))
    run(generated)
    other = Experiment("nearest_raw", "raw", "control", {"window": 1}, abnormal=["a09"])
    monkeypatch.setattr(accuracy, "read_experiments", lambda names: ([other], []))
    with pytest.raises(AMSLError, match="expected an object with the key abnormal"):
        run(generated)


def test_table_of_the_partition_has_both_groups(generated):
    results = generated / "results"
    results.mkdir()
    (experiment,), test_subjects = read_experiments(["signal_partition"])
    for number, f1 in enumerate((0.25, 0.75)):
        metrics = {"f1": f1, "auroc": 0.5, "recall_normal": 0.9, "recall_abnormal": 0.625}
        stored = {"experiment": experiment.name, "protocol": "subject", "run": number, "scores": {"distance": metrics}}
        (results / f"{experiment.name}.subject.{number}.json").write_text(json.dumps(stored))
    accuracy_table.write(results, generated)
    rows = table_rows((generated / "RESULTS.md").read_text())
    assert [experiment.title, "distance", "0.250", "0.500", "0.100", "0.625", "0.750", "0.500", "0.100", "0.625"] in rows
    assert ["method", "score", "F1, p6 p7 p8"] in [row[:3] for row in rows]
    assert test_subjects[0] == ["p6", "p7", "p8"]


def test_cost_table_shows_what_was_measured(generated):
    results = generated / "results"
    results.mkdir()
    cost = {"cpu_seconds": 1234.5, "windows_per_second": 62.1, "parameters": None, "mflop": 35.7}
    scores = {"nearest_normal": {"f1": 0.5, "auroc": 0.75}, "reconstruction": {"f1": 0.25, "auroc": 0.125}}
    for metrics in scores.values():
        metrics |= {"recall_normal": 1.0, "recall_abnormal": 1.0}
    stored = {"experiment": "width_8", "protocol": "window", "run": 0, "cost": cost, "scores": scores}
    (results / "width_8.window.0.json").write_text(json.dumps(stored))
    accuracy_table.write(results, generated)
    expected = ["AMSL, width 1/8, 4 epochs", "", "36", "1,234", "0.500", "0.750", "0.250", "0.125"]
    assert expected in table_rows(section(generated / accuracy_table.SUMMARY))


def test_floating_point_operations():
    """A matrix multiplication (32) x (32, 3) for each window."""
    import tensorflow as tf

    def compute(windows, outputs):
        return {name: tf.matmul(tf.reshape(windows, (-1, 32)), tf.ones((32, 3))) for name in outputs}

    assert accuracy.count_flops(SimpleNamespace(compute=compute, shape=(16, 2), scores={"one": None})) == 2 * 32 * 3


def test_zero_padded_windows(generated):
    """A window is zero-padded if the last 25 steps of all channels are zero."""
    x = np.load(generated / "abnormal.npy")
    x[:4, -25:] = 0
    x[4, -24:] = 0
    x[5, -25:, 1:] = 0
    np.save(generated / "abnormal.npy", x)
    job = Run(Experiment("x", "x", "control", {"window": 1}), "window", 0)
    parts = read_parts(generated, job, [])
    assert parts.is_zero_padded.tolist() == [False] * 20 + [True] * 4 + [False] * 11
    run(generated)
    metrics = json.loads((generated / "results/nearest_raw.window.0.json").read_text())["scores"]["distance"]
    assert metrics["excluding_zero_padded"].keys() == metrics.keys() - {"excluding_zero_padded"}
    assert "AUROC, excl. zero-padded" in (generated / "RESULTS.md").read_text()


def test_norms_do_not_depend_on_the_orientation_of_a_sensor(rng):
    x = rng.normal(size=(4, 20, 6))
    rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    rotated = (x.reshape(4, 20, 2, 3) @ rotation).reshape(4, 20, 6)
    np.testing.assert_allclose(features.norm_spectra(rotated), features.norm_spectra(x), rtol=1e-6)
    assert np.abs(features.spectra(rotated) - features.spectra(x)).max() > 0.1


@pytest.mark.parametrize("method", [controls.nearest, controls.pca(1)])
def test_controls_leave_groups_out(method, rng, monkeypatch):
    """A subject far from all others has large scores only if it is left out as a whole."""
    monkeypatch.setitem(controls.CONTROLS, "here", (features.raw, method))
    x = rng.normal(size=(30, 2, 2)).astype(np.float32)
    x[20:] += 50 * rng.normal(size=(2, 2)).astype(np.float32)
    groups = np.repeat(["a", "b", "c"], 10)
    by_group, *_ = controls.fit("here", x, groups)
    by_window, *_ = controls.fit("here", x, None)
    assert by_group[20:].min() > 3 * by_window[20:].max()


@pytest.mark.slow
def test_trained_network_is_reused(generated, monkeypatch):
    settings = {"views": ["raw"], "self_supervision": False, "num_slots": 5, "epochs": 1}
    one = Experiment("one", "one", "detector", {"window": 1}, settings)
    small = Experiment("small", "small", "detector", {"window": 1}, {**settings, "bank_size": 10}, network_of="one")
    monkeypatch.setattr(accuracy, "read_experiments", lambda names: ([one, small][: len(names)], []))
    run(generated, only=["one"])
    file = generated / "results/one.window.0.json"
    first = json.loads(file.read_text())
    file.unlink()
    monkeypatch.setattr("amsl_tf.training.fit.train", lambda *_, **__: pytest.fail("the network was trained again"))
    run(generated, only=["one", "small"])
    again = json.loads(file.read_text())
    assert again["scores"] == first["scores"]
    assert first["cost"]["seconds"] > 0
    assert again["cost"]["seconds"] is None  # unknown for an earlier training
    assert first["machine"]["precision"] == training_policy("auto")
    small = json.loads((generated / "results/small.window.0.json").read_text())
    assert again["machine"] == small["machine"] == first["machine"]  # of the training


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["detector", "upstream"])
def test_networks_are_run(generated, kind, monkeypatch):
    settings = {"detector": {"views": ["raw"], "self_supervision": False, "num_slots": 5}, "upstream": {"epochs": 1}}[kind]
    one = Experiment(kind, kind, kind, {"window": 1}, settings, trained=kind == "upstream")
    monkeypatch.setattr(accuracy, "read_experiments", lambda names: ([one], []))
    run(generated, only=[kind])
    scores = json.loads((generated / f"results/{kind}.window.0.json").read_text())["scores"]
    expected = {"detector": {"reconstruction", "nearest_normal"}, "upstream": {"window by window", "means of 16"}}
    assert set(scores) == expected[kind]
    assert {name for name, metrics in scores.items() if "excluding_zero_padded" in metrics} == expected[kind] - {"means of 16"}
    for metrics in scores.values():
        for values in (metrics, metrics.pop("excluding_zero_padded", {})):
            assert np.isfinite(list(values.values())).all()
