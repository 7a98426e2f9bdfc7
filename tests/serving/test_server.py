"""The embedded server's own: limits, a swap under way, and how it stops."""

import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor, wait

import grpc
import numpy as np
import pytest
import requests
from tensorflow_serving.apis.predict_pb2 import PredictRequest
from tensorflow_serving.apis.prediction_service_pb2_grpc import PredictionServiceStub

from amsl_tf.errors import AMSLError
from amsl_tf.serving import Client, Limits, Model, Server
from amsl_tf.serving.models import Version
from tests.conftest import ROOT, close, run_python
from tests.serving.conftest import WINDOW, embedded, post, wait_for


class Gate:
    """Holds predictions back until it is opened; `running` counts those that wait in it."""

    def __init__(self, monkeypatch):
        self.opened, self.running, self._lock = threading.Event(), 0, threading.Lock()
        predict = Version.predict

        def wait(version, *arguments):
            with self._lock:
                self.running += 1
            assert self.opened.wait(60)
            return predict(version, *arguments)

        monkeypatch.setattr(Version, "predict", wait)


def until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_large_requests_are_refused(folder):
    with embedded(folder, Limits(body_bytes=100_000, batch=4)) as (address, _):
        answer = post(address, WINDOW * 5)
        assert (answer.status_code, answer.json()["error"][:22]) == (400, "windows must hold 1 to")
        answer = requests.post(f"{address.rest}/v1/models/waves:predict", data=b"[" * 100_001, timeout=60)
        assert (answer.status_code, answer.json()["error"]) == (413, "A request must have at most 100,000 bytes.")
        parts = (b"[" * 10_000 for _ in range(11))  # without a length said before
        assert requests.post(f"{address.rest}/v1/models/waves:predict", data=parts, timeout=60).status_code == 413
        for count, code in ((5, "INVALID_ARGUMENT"), (1000, "RESOURCE_EXHAUSTED")):
            with pytest.raises(AMSLError, match=code):
                Client(address.url("grpc"), "waves", batch=1000, tries=1).predict(np.zeros((count, 24, 3)))
        assert post(address).status_code == 200


def test_texts_are_refused_before_they_become_an_array(folder):
    """As an array they would take 4 bytes for each character of the longest, 300 times."""
    with embedded(folder, Limits(batch=1000, body_bytes=2**22)) as (address, _):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        answer = post(address, ["a" * 1_000_000, *["b"] * 300])
        assert (answer.status_code, answer.json()["error"]) == (400, "windows: JSON Value is not of expected type: float")
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000  # kilobytes
        assert post(address, [[[True] * 3] * 24]).status_code == 400


def test_what_is_no_http_of_ours_is_refused_in_json(folder):
    with embedded(folder) as (address, _):
        answer = requests.request("TRACE", f"{address.rest}/v1/models/waves", timeout=9)
        assert (answer.status_code, answer.json()) == (400, {"error": "Malformed request: TRACE /v1/models/waves"})


def test_an_upload_that_does_not_end_is_given_up(folder, monkeypatch):
    monkeypatch.setattr("amsl_tf.serving.server.UPLOAD", 0.2)
    with (
        embedded(folder) as (address, _),
        socket.create_connection(("127.0.0.1", int(address.rest.rpartition(":")[2]))) as slow,
    ):
        slow.sendall(b"POST /v1/models/waves:predict HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n{")
        slow.settimeout(30)
        assert slow.recv(100).startswith(b"HTTP/1.1 408")


def test_deeply_nested_json_is_refused(folder):
    with embedded(folder) as (address, _):
        body = '{"instances":' + "[" * 200_000 + "]" * 200_000 + "}"
        answer = requests.post(f"{address.rest}/v1/models/waves:predict", data=body, timeout=60)
        assert answer.status_code == 400
        assert post(address).status_code == 200


@pytest.mark.parametrize("kind", ["rest", "grpc"])
def test_one_request_too_many_is_refused_and_tried_again(folder, monkeypatch, waves, kind):
    windows = np.repeat(waves[:1], 3000, axis=0)  # more than gRPC itself would send again
    limits = Limits(in_flight=2, threads=2, batch=3000, body_bytes=2**24)
    with embedded(folder, limits) as (address, _), ThreadPoolExecutor(3) as pool:
        gate = Gate(monkeypatch)
        try:
            hasty = Client(address.url(kind), "waves", tries=1)
            held = [pool.submit(hasty.predict, waves[:1]) for _ in range(2)]
            until(lambda: gate.running == 2)
            with pytest.raises(AMSLError, match=r"429|RESOURCE_EXHAUSTED"):
                hasty.predict(waves[:1])
            assert requests.get(f"{address.rest}/v1/models/waves", timeout=9).status_code == 200
            patient = pool.submit(Client(address.url(kind), "waves", batch=3000, tries=9).predict, windows)
            pause = time.sleep  # instead of the growing waits: the held ones are let through, their places soon free
            monkeypatch.setattr("time.sleep", lambda _: (gate.opened.set(), wait(held), pause(0.1)))
            assert [len(one.result()["score"]) for one in (*held, patient)] == [1, 1, 3000]
        finally:
            gate.opened.set()


@pytest.mark.parametrize("kind", ["rest", "grpc"])
def test_as_many_requests_run_as_there_are_threads(folder, monkeypatch, waves, kind):
    with embedded(folder, Limits(threads=45)) as (address, _), ThreadPoolExecutor(45) as pool:
        gate = Gate(monkeypatch)
        try:
            client = Client(address.url(kind), "waves", tries=1)
            held = [pool.submit(client.predict, waves[:1]) for _ in range(45)]
            until(lambda: gate.running == 45)
            gate.opened.set()
            assert all(len(one.result()["score"]) == 1 for one in held)
        finally:
            gate.opened.set()


def test_versions_are_swapped_without_losing_a_request(folder, detector, waves):
    with embedded(folder) as (address, model), ThreadPoolExecutor(4) as pool:
        model.watch(0.05)
        done = threading.Event()

        def keep_asking(interface):
            client, count = Client(address.url(interface), "waves", tries=1), 0
            while not done.is_set():
                close(client.predict(waves[:2])["score"], expected)
                count += 1
            return count

        expected = detector.decision_function(waves[:2])
        asking = [pool.submit(keep_asking, interface) for interface in ("rest", "grpc")]
        try:
            shutil.copytree(folder / "1", folder / ".new")
            os.rename(folder / ".new", folder / "2")
            wait_for(address, version=2)
            until(lambda: requests.get(f"{address.rest}/v1/models/waves/versions/1/metadata", timeout=9).status_code == 404)
            shutil.rmtree(folder / "2")  # roll back
            until(lambda: model.version().number == 1)
        finally:
            done.set()
        assert all(one.result() > 0 for one in asking)
        states = requests.get(f"{address.rest}/v1/models/waves", timeout=9).json()["model_version_status"]
        assert [(state["version"], state["state"]) for state in states] == [("2", "END"), ("1", "AVAILABLE")]


@pytest.mark.parametrize("kind", ["rest", "grpc"])
def test_a_request_is_answered_when_the_server_stops(folder, monkeypatch, waves, kind):
    with ThreadPoolExecutor(2) as pool:
        with embedded(folder) as (address, _):
            gate = Gate(monkeypatch)
            waiting = pool.submit(Client(address.url(kind), "waves", tries=1).predict, waves[:1])
            until(lambda: gate.running == 1)
            stopping = pool.submit(open_when_stopped, gate, address)
        assert len(waiting.result()["score"]) == 1
        assert stopping.result()


def open_when_stopped(gate, address):
    """Opens the gate when neither interface takes a request any more; says whether both came to that."""
    try:
        for kind in ("rest", "grpc"):
            until(lambda kind=kind: not takes_requests(address.url(kind)))
        return True
    finally:
        gate.opened.set()


def takes_requests(url):
    try:
        return bool(Client(url, "waves", tries=1, timeout=5).window_shape)
    except AMSLError:
        return False


def test_a_tensor_that_says_it_is_huge_is_refused(folder):
    """A few bytes: shape and one value, which NumPy would be filled up with."""
    request = PredictRequest()
    request.model_spec.name = "waves"
    proto = request.inputs["windows"]
    proto.dtype = 1
    proto.float_val.append(0.0)
    for size in (2**20, 2**20, 3):
        proto.tensor_shape.dim.add(size=size)
    with embedded(folder) as (address, _), grpc.insecure_channel(address.grpc) as channel:
        with pytest.raises(grpc.RpcError, match="must have shape"):
            PredictionServiceStub(channel).Predict(request)
        proto.tensor_shape.dim[1].size = 24
        with pytest.raises(grpc.RpcError, match="must hold 1 to 64 windows"):
            PredictionServiceStub(channel).Predict(request)


def test_what_is_counted(folder):
    with embedded(folder) as (address, _):
        post(address)
        Client(address.url("grpc"), "waves").predict(WINDOW)
        with pytest.raises(AMSLError):
            Client(address.url("grpc"), "waves", version=9).predict(WINDOW)
        text = requests.get(f"{address.rest}/metrics", timeout=9).text
    assert 'amsl_requests_total{code="200",method="predict",protocol="rest"} 1.0' in text
    assert 'amsl_requests_total{code="OK",method="predict",protocol="grpc"} 1.0' in text
    assert 'amsl_requests_total{code="NOT_FOUND",method="predict",protocol="grpc"} 1.0' in text
    assert 'amsl_model_version{model="waves"} 1.0' in text


def test_a_fault_of_ours_is_told_as_one(folder, monkeypatch):
    with embedded(folder) as (address, _):
        monkeypatch.setattr(Version, "predict", lambda *_: 1 / 0)
        answer = post(address)
        assert (answer.status_code, answer.json()) == (500, {"error": "ZeroDivisionError in the server; its log says more."})
        with pytest.raises(AMSLError, match="INTERNAL"):
            Client(address.url("grpc"), "waves", tries=1).predict(WINDOW)


def test_a_taken_port_and_a_missing_model_are_told(folder, tmp_path):
    with pytest.raises(AMSLError, match=r"Export a detector first"):
        Model("waves", tmp_path / "typo")
    (tmp_path / "empty").mkdir()
    with pytest.raises(AMSLError, match="holds no version"):
        Model("waves", tmp_path / "empty")
    model = Model("waves", folder)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(AMSLError, match=f"{port} for REST"):
            Server(model, port=port, grpc_port=0)
        with pytest.raises(AMSLError, match=f"{port} for gRPC"):
            Server(model, port=0, grpc_port=port)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--port", "70000"], "must be 0 to 65,535"),
        (["--grpc-port", "-1"], "must be 0 to 65,535"),
        (["--poll-seconds", "nan"], "must be 0.01 to 86,400"),
        (["--max-megabytes", "5000"], "must be 1 to 1,024"),
        (["--max-batch", "x"], "must be a number"),
        (["--name", "a/b"], "must be a name without / and :"),
    ],
)
def test_settings_that_cannot_be_are_refused(arguments, message):
    finished = run_python("scripts/serve.py", *arguments)
    assert finished.returncode == 2
    assert message in finished.stderr
    assert finished.stderr.count("\n") == 1


@pytest.mark.slow
@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_the_script(folder, waves, sent):
    command = [sys.executable, ROOT / "scripts/serve.py", "--model", folder, "--port", "0", "--grpc-port", "0"]
    with subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, text=True) as process:
        try:
            rest = process.stdout.readline().split()[1]
            target = process.stdout.readline().split()[1]
            assert len(Client(rest.partition("/v1")[0], "waves").predict(waves)["score"]) == 40
            assert len(Client(f"grpc://{target}", "waves").predict(waves)["score"]) == 40
            process.send_signal(sent)
            assert process.stdout.read() == "stopped\n"
            assert process.wait() == 0
        finally:
            process.kill()
