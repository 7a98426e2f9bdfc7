"""Pseudo-anomalies: what is left out is left out, and is what counts as abnormal."""

import numpy as np
import pytest

from amsl_tf.errors import AMSLError
from amsl_tf.scoring import Outputs
from benchmarks import pseudo
from tests.conftest import ROOT

ACTIVITY = np.repeat(["a09", "a10", "a13"], 40)
SUBJECT = np.tile(["p1", "p2", "p3", "p4"], 30)


def test_people_are_known():
    (task,) = pseudo.tasks("window", ("a09", "a10"), ACTIVITY, SUBJECT)
    assert not set(task.train) & set(task.test)
    assert set(ACTIVITY[task.train]) == {"a13"}
    assert len(task.test) == 48
    np.testing.assert_array_equal(task.abnormal, ACTIVITY[task.test] != "a13")


def test_people_are_new():
    found = list(pseudo.tasks("subject", ("a10",), ACTIVITY, SUBJECT))
    assert [set(SUBJECT[task.test]) for task in found] == [{"p1"}, {"p2"}, {"p3"}, {"p4"}]
    for task in found:
        assert not set(SUBJECT[task.test]) & set(SUBJECT[task.train])
        assert set(ACTIVITY[task.train]) == {"a09", "a13"}
        np.testing.assert_array_equal(task.abnormal, ACTIVITY[task.test] == "a10")


@pytest.mark.parametrize("protocol", ["window", "subject"])
def test_far_windows_are_told_apart(protocol, rng):
    far = 20.0 * (ACTIVITY == "a10")[:, None]
    outputs = Outputs(
        rng.lognormal(size=(120, 1, 4)) * np.exp(far)[:, None],
        rng.normal(size=(120, 1, 4)),
        rng.normal(size=(120, 4)) + far,
    )
    task = next(pseudo.tasks(protocol, ("a10",), ACTIVITY, SUBJECT))
    found = pseudo.tell_apart(outputs, SUBJECT, task, protocol)
    assert found["auroc.signal"] == found["auroc.error"] == found["auroc.reconstruction"] == 1.0
    assert 0.2 < found["auroc.latent"] < 0.8
    assert found["detected"] == 1.0
    assert found["false_alarms"] < 0.4
    assert set(pseudo.COLUMNS) == set(found)


def test_a_detector_that_is_not_kept_is_asked_for(generated):
    with pytest.raises(AMSLError, match="accuracy --only amsl --protocols window first"):
        pseudo.run(generated, generated / "results", generated / "work", ["window"], generated)


def test_what_is_committed_is_what_is_generated(tmp_path):
    page = pseudo.write_page(ROOT / "benchmarks/results/pseudo", tmp_path)
    assert page.read_text() == (ROOT / "benchmarks/PSEUDO.md").read_text()
