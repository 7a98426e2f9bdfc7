"""The accuracy benchmark: its experiments can be run, what is finished is not run again, the table says what was found."""

import json

import numpy as np
import pytest

from amsl_tf.config import DetectorConfig
from amsl_tf.data.splits import PROTOCOLS
from amsl_tf.errors import AMSLError
from amsl_tf.precision import training_policy
from amsl_tf.scoring import NearestNormal, Outputs
from amsl_tf.scoring.signal import describe_signal
from benchmarks import accuracy, accuracy_table, controls, features
from benchmarks.baselines_table import OURS
from benchmarks.experiments import Experiment, Run, read_baselines, read_experiments
from benchmarks.parts import read_parts
from tests.conftest import ROOT


@pytest.fixture
def generated(generated):
    """With a README that has a place for the tables."""
    (generated / "README.md").write_text(f"before\n{accuracy_table.START}\nold\n{accuracy_table.END}\nafter\n")
    return generated


def run(generated, **settings):
    given = {"only": ["nearest_raw"], "protocols": ["window"], **settings}
    accuracy.run(generated, generated / "results", generated / "work", tables=generated, **given)


def test_every_experiment_can_be_run():
    experiments, people = read_experiments()
    assert len({item.name for item in experiments}) == len(experiments)
    for item in experiments:
        assert item.runs["window"] >= 1
        assert item.runs.get("subject", 0) <= len(people)
        if item.kind == "detector":
            config = DetectorConfig.from_settings(**item.settings)
            if item.network:
                (of,) = read_experiments([item.network])[0]
                other = DetectorConfig.from_settings(**of.settings)
                assert (config.model, config.training) == (other.model, other.training)
        if item.kind == "control":
            assert item.name in {*controls.CONTROLS, controls.SIGNAL}


def test_an_unknown_name_is_refused(generated):
    with pytest.raises(AMSLError, match="no experiment 'typo'"):
        run(generated, only=["typo"])


def test_a_readme_without_a_place_is_told_before_anything_runs(generated):
    (generated / "README.md").write_text("nothing")
    with pytest.raises(AMSLError, match="Put them back"):
        run(generated)
    assert not (generated / "results").exists()


def test_what_is_finished_is_not_run_again(generated):
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


def test_a_result_of_other_settings_is_refused(generated):
    run(generated)
    file = generated / "results/nearest_raw.window.1.json"
    file.write_text(file.read_text().replace('"seed": 1', '"seed": 7'))
    with pytest.raises(AMSLError, match=r"window\.1\.json: expected a result of .*'seed': 1.* found one of .*'seed': 7"):
        run(generated)


def test_the_signal_alone_is_the_score_of_a_detector_with_nothing_else(rng):
    train, test = (rng.normal(size=(count, 20, 6)).astype(np.float32) for count in (30, 5))
    nothing = [(np.ones((len(x), 1, 1)), np.ones((len(x), 1, 1)), describe_signal(x, 3).numpy()) for x in (train, test)]
    scorer = NearestNormal()
    own = scorer.fit(Outputs(*nothing[0]), np.repeat(["a", "b", "c"], 10))
    kinds = {name: scorer.state()[f"{name}.weight"] for name in ("error", "latent", "signal")}
    found, score, _ = controls.fit("signal", train, np.repeat(["a", "b", "c"], 10))
    ours = kinds["signal"] / sum(kinds.values())
    np.testing.assert_allclose(found * ours, own, atol=1e-5)
    np.testing.assert_allclose(score(test), scorer.ratings(Outputs(*nothing[1]))["signal"], atol=1e-9)


def test_the_table_has_a_row_for_what_has_not_run(generated):
    accuracy_table.write(generated / "results", generated)
    text = (generated / "RESULTS.md").read_text()
    assert "| AMSL |  | not run |  |  |  |  |  | 0 of 3 | 0.9352 |" in text  # in the protocol of the paper
    assert "| AMSL |  | not run |  |  |  |  |  | 0 of 3 |  |" in text  # with new people
    baselines = len(PROTOCOLS) * len([*read_baselines(), *OURS])
    assert text.count("not run") == baselines + sum(len(item.runs) * (1 + item.headline) for item in read_experiments()[0])


def test_the_summary_stands_in_the_readme(generated):
    run(generated, only=["nearest_spectra"])
    readme = (generated / "README.md").read_text()
    summary = readme.removeprefix(f"before\n{accuracy_table.START}\n").removesuffix(f"{accuracy_table.END}\nafter\n")
    assert summary in (generated / "RESULTS.md").read_text()
    assert "| nearest neighbour, log spectra | distance |" in summary
    (generated / "README.md").write_text("nothing")
    with pytest.raises(AMSLError, match="Put them back"):
        run(generated)


def test_what_is_committed_is_what_is_generated(tmp_path):
    for name in ("README.md", "RESULTS.md"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    accuracy_table.write(ROOT / "benchmarks/results/accuracy", tmp_path)
    for name in ("README.md", "RESULTS.md"):
        assert (tmp_path / name).read_text() == (ROOT / name).read_text()


def test_people_who_are_tested_on_are_not_trained_on(generated):
    one = Run(Experiment("x", "x", "control", {"subject": 1}), "subject", 0)
    parts = read_parts(generated, one, [["p6"]])
    assert set(parts.groups) == {"p1", "p2"}
    assert parts.axes == 1  # there is no sensors.json
    assert len(parts.train) == 34
    assert parts.is_abnormal.tolist() == [False] * 16 + [True] * 5


def test_windows_that_end_in_zeros_are_told(generated):
    x = np.load(generated / "abnormal.npy")
    x[:4, -25:] = 0
    x[4, -24:] = 0
    x[5, -25:, 1:] = 0
    np.save(generated / "abnormal.npy", x)
    one = Run(Experiment("x", "x", "control", {"window": 1}), "window", 0)
    parts = read_parts(generated, one, [])
    assert parts.is_whole.tolist() == [True] * 20 + [False] * 4 + [True] * 11
    run(generated)
    metrics = json.loads((generated / "results/nearest_raw.window.0.json").read_text())["scores"]["distance"]
    assert metrics["whole"].keys() == metrics.keys() - {"whole"}
    table = (generated / "RESULTS.md").read_text()
    assert "AUROC, whole" in table


def test_norms_do_not_depend_on_how_a_sensor_is_turned(rng):
    x = rng.normal(size=(4, 20, 6))
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    turned = (x.reshape(4, 20, 2, 3) @ turn).reshape(4, 20, 6)
    np.testing.assert_allclose(features.norm_spectra(turned), features.norm_spectra(x), rtol=1e-6)
    assert np.abs(features.spectra(turned) - features.spectra(x)).max() > 0.1


@pytest.mark.parametrize("method", [controls.nearest, controls.pca(1)])
def test_a_control_leaves_a_person_out(method, rng, monkeypatch):
    """A person far from all others is near to itself only: its scores are large where it is left out."""
    monkeypatch.setitem(controls.CONTROLS, "here", (features.raw, method))
    x = rng.normal(size=(30, 2, 2)).astype(np.float32)
    x[20:] += 50 * rng.normal(size=(2, 2)).astype(np.float32)
    groups = np.repeat(["a", "b", "c"], 10)
    alone, *_ = controls.fit("here", x, groups)
    together, *_ = controls.fit("here", x, None)
    assert alone[20:].min() > 3 * together[20:].max()


@pytest.mark.slow
def test_a_trained_network_is_not_trained_again(generated, monkeypatch):
    settings = {"views": ["raw"], "self_supervision": False, "num_slots": 5, "epochs": 1}
    one = Experiment("one", "one", "detector", {"window": 1}, settings)
    small = Experiment("small", "small", "detector", {"window": 1}, {**settings, "bank_size": 10}, network="one")
    monkeypatch.setattr(accuracy, "read_experiments", lambda names: ([one, small][: len(names)], []))
    run(generated, only=["one"])
    file = generated / "results/one.window.0.json"
    first = json.loads(file.read_text())
    file.unlink()
    monkeypatch.setattr("amsl_tf.fitting.train", lambda *_, **__: pytest.fail("it was trained again"))
    run(generated, only=["one", "small"])
    again = json.loads(file.read_text())
    assert again["scores"] == first["scores"]
    assert first["cost"]["seconds"] > 0
    assert again["cost"]["seconds"] is None  # of what was trained before nothing is known
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
    # scores of single windows are also measured without those that end in a second of zeros
    assert {name for name, metrics in scores.items() if "whole" in metrics} == expected[kind] - {"means of 16"}
    for metrics in scores.values():
        for values in (metrics, metrics.pop("whole", {})):
            assert np.isfinite(list(values.values())).all()
