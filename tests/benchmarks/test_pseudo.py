"""The pseudo-anomaly benchmark: left-out activities are not in the bank and count as abnormal."""

import json
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from amsl_tf.config import DetectorConfig
from amsl_tf.errors import AMSLError
from amsl_tf.scoring.ensemble.ensemble import Ensemble
from amsl_tf.scoring.members.base import Evidence
from amsl_tf.scoring.threshold import percentile_threshold
from benchmarks import pseudo
from tests.benchmarks.conftest import table_rows
from tests.conftest import ROOT

ACTIVITY = np.repeat(["a09", "a10", "a13"], 40)
SUBJECT = np.tile(["p1", "p2", "p3", "p4"], 30)


def test_task_with_subjects_in_the_bank():
    (task,) = pseudo.tasks("window", ("a09", "a10"), ACTIVITY, SUBJECT)
    assert not set(task.train) & set(task.test)
    assert set(ACTIVITY[task.train]) == {"a13"}
    assert len(task.test) == 48
    np.testing.assert_array_equal(task.abnormal, ACTIVITY[task.test] != "a13")


def test_tasks_with_unseen_subjects():
    tasks = list(pseudo.tasks("subject", ("a10",), ACTIVITY, SUBJECT))
    assert [set(SUBJECT[task.test]) for task in tasks] == [{"p1"}, {"p2"}, {"p3"}, {"p4"}]
    for task in tasks:
        assert not set(SUBJECT[task.test]) & set(SUBJECT[task.train])
        assert set(ACTIVITY[task.train]) == {"a09", "a13"}
        np.testing.assert_array_equal(task.abnormal, ACTIVITY[task.test] == "a10")


@pytest.mark.parametrize("protocol", ["window", "subject"])
def test_distant_windows_are_detected(protocol, rng):
    far = 20.0 * (ACTIVITY == "a10")[:, None]
    error = rng.lognormal(size=(120, 1, 4)) * np.exp(far)[:, None]
    features = {"error": np.log(error[:, 0]), "latent": rng.normal(size=(120, 4)), "signal": rng.normal(size=(120, 4)) + far}
    task = next(pseudo.tasks(protocol, ("a10",), ACTIVITY, SUBJECT))
    metrics = pseudo.evaluate_task(Evidence(error, features), SUBJECT, task, protocol)
    assert metrics["auroc.signal"] == metrics["auroc.error"] == metrics["auroc.reconstruction"] == 1.0
    assert 0.2 < metrics["auroc.latent"] < 0.8
    assert metrics["detected"] == 1.0
    assert metrics["false_alarms"] < 0.4
    assert set(pseudo.COLUMNS) == set(metrics)


def test_variants_of_the_ensemble(rng):
    """Windows of a10 are ten times as large: levels and powers find them; the score without a member is that of the others."""
    config = DetectorConfig.from_settings(network="none", score="ensemble")
    x = rng.normal(size=(120, 32, 2)).astype(np.float32) * np.where(ACTIVITY == "a10", 1.5, 1.0)[:, None, None].astype(
        np.float32
    )
    task = next(pseudo.tasks("subject", ("a10",), ACTIVITY, SUBJECT))
    metrics = pseudo.evaluate_ensemble(config, x, SUBJECT, task, "subject")
    members = config.members
    assert list(metrics) == [
        "all members",
        *(f"{name} alone" for name in members),
        *(f"without {name}" for name in members),
        "without noise copies",
    ]
    assert metrics["all members"]["auroc"] > 0.8
    groups = SUBJECT[task.train]
    for left_out in members:
        others = Ensemble(replace(config, members=tuple(name for name in members if name != left_out)))
        others.fit(Evidence(None, {}, x[task.train]), groups)
        expected = roc_auc_score(task.abnormal, others.score(Evidence(None, {}, x[task.test])))
        assert metrics[f"without {left_out}"]["auroc"] == pytest.approx(expected, abs=1e-9)
    without = Ensemble(replace(config, noise=()))
    threshold = percentile_threshold(without.fit(Evidence(None, {}, x[task.train]), groups), config.percentile, groups)
    flagged = without.score(Evidence(None, {}, x[task.test])).numpy() >= threshold
    assert metrics["without noise copies"]["detected"] == flagged[task.abnormal].mean()
    assert metrics["without noise copies"]["false_alarms"] == flagged[~task.abnormal].mean()


def test_table_of_variants(tmp_path):
    """Differences of -.1 and -.3 have mean -.2 and standard error .1."""
    results = [
        {"all members": {"auroc": 0.9, "false_alarms": 0.02, "detected": 0.5}, "without one": {"auroc": auroc}}
        for auroc in (0.8, 0.6)
    ]
    (tmp_path / "subject.ensemble.a09.json").write_text(json.dumps({"tasks": results}))
    rows = table_rows(pseudo.write_page(tmp_path, tmp_path).read_text())
    assert ["all members", "0.900", "", "0.020", "0.500"] in rows
    assert ["without one", "0.700", "-0.2000 ± 0.2000", "", ""] in rows


def test_missing_detector_is_an_error(generated, monkeypatch):
    monkeypatch.setattr(pseudo, "_run_ensemble", lambda *_: None)
    with pytest.raises(AMSLError, match=r"accuracy --only amsl --protocols window .* first"):
        pseudo.run(generated, generated / "results", generated / "work", ["window"], generated)


def test_committed_page_is_up_to_date(tmp_path):
    page = pseudo.write_page(ROOT / "benchmarks/results/pseudo", tmp_path)
    assert page.read_text() == (ROOT / "benchmarks/PSEUDO.md").read_text()
