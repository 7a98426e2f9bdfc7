"""The load test: lost and wrong answers are counted."""

import itertools
import json
import threading

import numpy as np
import pytest

from amsl_tf.errors import AMSLError
from benchmarks import serving


def make_load(monkeypatch, rest, grpc):
    """A load whose clients send requests with these functions: `send(size)` and the outcome of bad requests.

    Its clock counts its readings, in each thread: the number of requests does not depend on the machine.
    """
    clocks = threading.local()

    def read_clock():
        clocks.readings = getattr(clocks, "readings", itertools.count())
        return next(clocks.readings)

    monkeypatch.setattr(serving.time, "perf_counter", read_clock)
    for name, (send, is_rejected) in {"rest_requests": rest, "grpc_requests": grpc}.items():
        requests = (send, [("strings", lambda is_rejected=is_rejected: is_rejected)])
        monkeypatch.setattr(serving, name, lambda *_, requests=requests: requests)
    return serving.Load("", "", np.zeros(1), np.arange(16.0))


def test_outcomes_are_counted(monkeypatch):
    def send(size, offset):
        if size == serving.SIZES[2]:
            raise ConnectionError
        return np.arange(16.0)[:size] + offset

    load = make_load(monkeypatch, (lambda size: send(size, 0), False), (lambda size: send(size, 1), True))
    load.run(2, 300)
    report = load.report()
    answers = report["answers"]
    assert set(answers) == {
        "correct",
        "wrong",
        "lost: ConnectionError",
        "bad requests rejected",
        "bad request not rejected: strings",
    }
    assert report["lost_or_wrong"] == sum(answers.values()) - answers["correct"] - answers["bad requests rejected"]
    assert report["p50_seconds"] <= report["p99_seconds"]


def test_report_without_any_answer(monkeypatch):
    def fail(size):
        raise ConnectionError

    load = make_load(monkeypatch, (fail, True), (fail, True))
    load.run(2, 300)
    assert set(load.report()["answers"]) == {"lost: ConnectionError", "bad requests rejected"}


def test_missing_model_is_an_error(tmp_path):
    with pytest.raises(AMSLError, match="Run `amsl export` first"):
        serving.run(tmp_path / "typo", 1, 1.0, tmp_path / "report.json")


@pytest.mark.slow
def test_no_answer_is_lost_or_wrong_while_versions_change(exported, tmp_path):
    serving.run(exported.parent, 6, 0.3, tmp_path / "report.json")
    report = json.loads((tmp_path / "report.json").read_text())
    assert set(report["answers"]) == {"correct", "bad requests rejected"}
    assert report["lost_or_wrong"] == 0
    assert report["swaps"] in (2, 3)  # a busy machine has no time for the third
    assert report["final_versions"] == {
        **{str(n + 1): "END" for n in range(report["swaps"])},
        str(report["swaps"] + 1): "AVAILABLE",
    }
    assert set(report["server"]) == {"at start", "after two swaps", "at end"}
    assert report["slow_connections_closed"] > 0  # those with incomplete headers
    assert report["relative_throughput"] > 0
