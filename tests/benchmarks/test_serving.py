"""The load test: lost and wrong answers are counted."""

import json

import numpy as np
import pytest

from amsl_tf.errors import AMSLError
from benchmarks import serving


def test_outcomes_are_counted(monkeypatch):
    def requests(answer):
        def send(size):
            if size == serving.SIZES[2]:
                raise ConnectionError
            return answer[:size]

        return lambda *_: (send, lambda: False)

    expected = np.arange(16.0)
    monkeypatch.setattr(serving, "rest_requests", requests(expected))
    monkeypatch.setattr(serving, "grpc_requests", requests(expected + 1))
    load = serving.Load("", "", np.zeros(1), expected)
    calls = []
    load.run(2, 0.3, lambda: calls.append(1))
    report = load.report()
    assert calls == [1]
    assert set(report["answers"]) == {"correct", "wrong", "lost: ConnectionError", "invalid requests not rejected"}
    assert report["p50_seconds"] <= report["p99_seconds"]


def test_report_without_any_answer(monkeypatch):
    def fail(size):
        raise ConnectionError

    for name in ("rest_requests", "grpc_requests"):
        monkeypatch.setattr(serving, name, lambda *_: (fail, lambda: True))
    load = serving.Load("", "", np.zeros(1), np.arange(16.0))
    load.run(2, 0.1, lambda: None)
    assert set(load.report()["answers"]) == {"lost: ConnectionError", "invalid requests rejected"}


def test_missing_model_is_an_error(tmp_path):
    with pytest.raises(AMSLError, match="Run `amsl export` first"):
        serving.run(tmp_path / "typo", 1, 1.0, tmp_path / "report.json")


@pytest.mark.slow
def test_no_answer_is_lost_or_wrong_while_versions_change(exported, tmp_path):
    serving.run(exported.parent, 6, 20.0, tmp_path / "report.json")
    report = json.loads((tmp_path / "report.json").read_text())
    assert set(report["answers"]) == {"correct", "invalid requests rejected"}
    assert report["final_versions"] == {"1": "END", "2": "AVAILABLE"}
    assert report["relative_throughput"] > 0
