"""The load test: what is lost or wrong is counted as that."""

import json

import numpy as np
import pytest

from amsl_tf.errors import AMSLError
from benchmarks import serving


def test_wrong_and_lost_answers_are_counted(monkeypatch):
    def asks(answer):
        def good(size):
            if size == serving.SIZES[2]:
                raise ConnectionError
            return answer[:size]

        return lambda *_: (good, lambda: False)

    right = np.arange(16.0)
    monkeypatch.setattr(serving, "rest_asks", asks(right))
    monkeypatch.setattr(serving, "grpc_asks", asks(right + 1))
    load = serving.Load("", "", np.zeros(1), right)
    disturbed = []
    load.run(2, 0.3, lambda: disturbed.append(1))
    report = load.report()
    assert disturbed == [1]
    assert set(report["answers"]) == {"right", "wrong", "lost: ConnectionError", "bad requests not refused"}
    assert report["p50_seconds"] <= report["p99_seconds"]


def test_a_load_that_is_lost_is_reported(monkeypatch):
    def lost(size):
        raise ConnectionError

    for name in ("rest_asks", "grpc_asks"):
        monkeypatch.setattr(serving, name, lambda *_: (lost, lambda: True))
    load = serving.Load("", "", np.zeros(1), np.arange(16.0))
    load.run(2, 0.1, lambda: None)
    assert set(load.report()["answers"]) == {"lost: ConnectionError", "bad requests refused"}


def test_a_missing_model_is_told(tmp_path):
    with pytest.raises(AMSLError, match="Export a detector first"):
        serving.run(tmp_path / "typo", 1, 1.0, tmp_path / "report.json")


@pytest.mark.slow
def test_nothing_is_lost_or_wrong_while_versions_are_swapped(exported, tmp_path):
    serving.run(exported.parent, 6, 20.0, tmp_path / "report.json")
    report = json.loads((tmp_path / "report.json").read_text())
    assert set(report["answers"]) == {"right", "bad requests refused"}
    assert report["versions_at_the_end"] == {"1": "END", "2": "AVAILABLE"}
    assert report["share_of_bare"] > 0
