"""The pseudo-anomaly benchmark: left-out activities are not in the bank and count as abnormal."""

import numpy as np
import pytest

from amsl_tf.errors import AMSLError
from amsl_tf.scoring.members.base import Evidence
from benchmarks import pseudo
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


def test_missing_detector_is_an_error(generated):
    with pytest.raises(AMSLError, match=r"accuracy --only amsl --protocols window .* first"):
        pseudo.run(generated, generated / "results", generated / "work", ["window"], generated)


def test_committed_page_is_up_to_date(tmp_path):
    page = pseudo.write_page(ROOT / "benchmarks/results/pseudo", tmp_path)
    assert page.read_text() == (ROOT / "benchmarks/PSEUDO.md").read_text()
