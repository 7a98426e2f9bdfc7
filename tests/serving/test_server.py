"""The embedded server alone: limits, replacing versions under load, and shutdown."""

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
from amsl_tf.serving import Client, Limits, Model
from amsl_tf.serving.version import Version
from tests.conftest import ROOT, close, run_python
from tests.serving.conftest import WINDOW, embedded, post, until, wait_for


class Gate:
    """Blocks predictions until it is opened; `running` counts the blocked ones."""

    def __init__(self, monkeypatch):
        self.opened, self.running, self._lock = threading.Event(), 0, threading.Lock()
        predict = Version.predict

        def wait(version, *arguments):
            with self._lock:
                self.running += 1
            assert self.opened.wait(60)
            return predict(version, *arguments)

        monkeypatch.setattr(Version, "predict", wait)


def test_large_requests_are_rejected(folder):
    with embedded(folder, Limits(body_bytes=100_000, batch=4)) as (address, _):
        response = post(address, WINDOW * 5)
        assert (response.status_code, response.json()["error"][:22]) == (400, "windows must hold 1 to")
        response = requests.post(f"{address.rest}/v1/models/waves:predict", data=b"[" * 100_001, timeout=60)
        assert (response.status_code, response.json()["error"]) == (
            413,
            "A request must have at most 100,000 bytes. Send fewer windows at once.",
        )
        parts = (b"[" * 10_000 for _ in range(11))  # without Content-Length
        assert requests.post(f"{address.rest}/v1/models/waves:predict", data=parts, timeout=60).status_code == 413
        for count, code in ((5, "INVALID_ARGUMENT"), (1000, "RESOURCE_EXHAUSTED")):
            with pytest.raises(AMSLError, match=code):
                Client(address.url("grpc"), "waves", batch=1000, tries=1).detect(np.zeros((count, 24, 3)))
        assert post(address).status_code == 200


def test_strings_are_rejected_before_conversion_to_an_array(folder):
    """An array of strings takes 4 bytes for each character of the longest, here for each of 300 strings."""
    with embedded(folder, Limits(batch=1000, body_bytes=2**22)) as (address, _):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        response = post(address, ["a" * 1_000_000, *["b"] * 300])
        assert (response.status_code, response.json()["error"]) == (400, "windows: JSON Value is not of expected type: float")
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000  # kilobytes
        assert post(address, [[[True] * 3] * 24]).status_code == 400


def test_unsupported_methods_are_rejected_in_json(folder):
    with embedded(folder) as (address, _):
        response = requests.request("TRACE", f"{address.rest}/v1/models/waves", timeout=60)
        assert (response.status_code, response.json()) == (400, {"error": "Malformed request: TRACE /v1/models/waves"})


def test_head_is_get_without_a_body(folder):
    with embedded(folder) as (address, _), requests.Session() as session:
        for path, status in (
            ("/v1/models/waves", 200),
            ("/v1/models/waves/versions/1/metadata", 200),
            ("/v1/models/other", 404),
            ("/metrics", 200),
        ):
            found, head = (session.request(method, address.rest + path, timeout=60) for method in ("GET", "HEAD"))
            assert (head.status_code, found.status_code, head.content) == (status, status, b"")
            assert head.headers["Content-Type"] == found.headers["Content-Type"]
        assert session.head(f"{address.rest}/v1/models/waves:predict", timeout=60).status_code == 400


def test_slow_uploads_time_out(folder):
    with (
        embedded(folder, Limits(transfer_seconds=0.2)) as (address, _),
        socket.create_connection(("127.0.0.1", int(address.rest.rpartition(":")[2]))) as slow,
    ):
        slow.sendall(b"POST /v1/models/waves:predict HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n{")
        slow.settimeout(30)
        assert slow.recv(100).startswith(b"HTTP/1.1 408")


def test_deeply_nested_json_is_rejected(folder):
    with embedded(folder) as (address, _):
        body = '{"instances":' + "[" * 200_000 + "]" * 200_000 + "}"
        response = requests.post(f"{address.rest}/v1/models/waves:predict", data=body, timeout=60)
        assert response.status_code == 400
        assert post(address).status_code == 200


@pytest.mark.parametrize("interface", ["rest", "grpc"])
def test_excess_requests_are_rejected_and_retried(folder, monkeypatch, waves, interface):
    windows = np.repeat(waves[:1], 3000, axis=0)  # too many for gRPC to retry by itself
    limits = Limits(in_flight=2, threads=2, batch=3000, body_bytes=2**24)
    with embedded(folder, limits) as (address, _), ThreadPoolExecutor(3) as pool:
        gate = Gate(monkeypatch)
        try:
            single_try = Client(address.url(interface), "waves", tries=1)
            blocked = [pool.submit(single_try.predict, waves[:1]) for _ in range(2)]
            until(lambda: gate.running == 2)
            with pytest.raises(AMSLError, match=r"429|RESOURCE_EXHAUSTED"):
                single_try.predict(waves[:1])
            assert requests.get(f"{address.rest}/v1/models/waves", timeout=60).status_code == 200
            retried = pool.submit(Client(address.url(interface), "waves", batch=3000, tries=9).predict, windows)
            pause = time.sleep  # in place of the waits of the client: the blocked requests are released and end soon
            monkeypatch.setattr("time.sleep", lambda _: (gate.opened.set(), wait(blocked), pause(0.1)))
            assert [len(request.result()) for request in (*blocked, retried)] == [1, 1, 3000]
        finally:
            gate.opened.set()


@pytest.mark.parametrize("interface", ["rest", "grpc"])
def test_concurrent_requests_equal_the_threads(folder, monkeypatch, waves, interface):
    with embedded(folder, Limits(threads=45)) as (address, _), ThreadPoolExecutor(45) as pool:
        gate = Gate(monkeypatch)
        try:
            client = Client(address.url(interface), "waves", tries=1)
            blocked = [pool.submit(client.predict, waves[:1]) for _ in range(45)]
            until(lambda: gate.running == 45)
            gate.opened.set()
            assert [len(request.result()) for request in blocked] == [1] * 45
        finally:
            gate.opened.set()


def test_versions_are_replaced_without_losing_requests(folder, detector, waves):
    with embedded(folder) as (address, model), ThreadPoolExecutor(4) as pool:
        model.watch(0.05)
        done = threading.Event()

        def send_requests(interface):
            client, count = Client(address.url(interface), "waves", tries=1), 0
            while not done.is_set():
                close(client.decision_function(waves[:2]), expected)
                count += 1
            return count

        expected = detector.decision_function(waves[:2])
        clients = [pool.submit(send_requests, interface) for interface in ("rest", "grpc")]
        try:
            shutil.copytree(folder / "1", folder / ".new")
            os.rename(folder / ".new", folder / "2")
            wait_for(address, version=2)
            until(lambda: requests.get(f"{address.rest}/v1/models/waves/versions/1/metadata", timeout=60).status_code == 404)
            shutil.rmtree(folder / "2")  # roll back
            until(lambda: version_states(address) == [("2", "END"), ("1", "AVAILABLE")])
        finally:
            done.set()
        assert all(client.result() > 0 for client in clients)


def version_states(address):
    states = requests.get(f"{address.rest}/v1/models/waves", timeout=60).json()["model_version_status"]
    return [(state["version"], state["state"]) for state in states]


@pytest.mark.parametrize("interface", ["rest", "grpc"])
def test_running_requests_are_answered_at_shutdown(folder, monkeypatch, waves, interface):
    with ThreadPoolExecutor(2) as pool:
        with embedded(folder) as (address, _):
            gate = Gate(monkeypatch)
            waiting = pool.submit(Client(address.url(interface), "waves", tries=1).predict, waves[:1])
            until(lambda: gate.running == 1)
            stopping = pool.submit(open_when_stopped, gate, address)
        assert len(waiting.result()) == 1
        assert stopping.result()


def open_when_stopped(gate, address):
    """Opens the gate once neither interface accepts requests; returns whether both stopped."""
    try:
        for interface in ("rest", "grpc"):
            until(lambda interface=interface: not accepts_requests(address.url(interface)))
        return True
    finally:
        gate.opened.set()


def accepts_requests(url):
    try:
        return bool(Client(url, "waves", tries=1, timeout=5).window_shape)
    except AMSLError:
        return False


def test_tensors_that_declare_a_huge_shape_are_rejected(folder):
    """A few bytes, the shape and one value, would become a huge array."""
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


def test_metrics(folder):
    with embedded(folder) as (address, _):
        post(address)
        Client(address.url("grpc"), "waves").predict(WINDOW)
        with pytest.raises(AMSLError):
            Client(address.url("grpc"), "waves", version=9).predict(WINDOW)
        text = requests.get(f"{address.rest}/metrics", timeout=60).text
    assert 'amsl_requests_total{code="200",method="predict",protocol="rest"} 1.0' in text
    assert 'amsl_requests_total{code="OK",method="predict",protocol="grpc"} 1.0' in text
    assert 'amsl_requests_total{code="NOT_FOUND",method="predict",protocol="grpc"} 1.0' in text
    assert 'amsl_model_version{model="waves"} 1.0' in text


def test_bugs_are_reported_as_internal_errors(folder, monkeypatch):
    with embedded(folder) as (address, _):
        monkeypatch.setattr(Version, "predict", lambda *_: 1 / 0)
        response = post(address)
        assert (response.status_code, response.json()) == (500, {"error": "ZeroDivisionError in the server; see its log."})
        with pytest.raises(AMSLError, match="INTERNAL"):
            Client(address.url("grpc"), "waves", tries=1).predict(WINDOW)


def test_missing_models_are_errors(tmp_path):
    with pytest.raises(AMSLError, match=r"Export a detector first .amsl export."):
        Model("waves", tmp_path / "typo")
    (tmp_path / "empty").mkdir()
    with pytest.raises(AMSLError, match="holds no version"):
        Model("waves", tmp_path / "empty")
    (tmp_path / "file").touch()
    with pytest.raises(AMSLError, match=r"Not a directory. Export a detector first"):
        Model("waves", tmp_path / "file")


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
def test_invalid_arguments_are_errors(arguments, message):
    finished = run_python("-m", "amsl_tf", "serve", *arguments)
    assert finished.returncode == 2
    assert message in finished.stderr
    assert finished.stderr.count("\n") == 1


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_the_command_while_the_model_is_loaded(sent):
    """Libraries call functions whose exceptions Python ignores, for instance when memory is released."""
    program = f"""
import os, sys, types, weakref
from amsl_tf.cli import main

class Model:
    def __init__(self, *_):
        item = set()
        reference = weakref.ref(item, lambda _: os.kill(os.getpid(), {int(sent)}))
        del item
        raise OSError("the signal is lost")

sys.modules["amsl_tf.serving.models"] = types.SimpleNamespace(Model=Model)
sys.modules["amsl_tf.serving.server"] = types.SimpleNamespace(Server=None)
main(["serve", "--port", "0", "--grpc-port", "0"])
"""
    assert run_python("-c", program).returncode == 128 + sent


@pytest.mark.slow
@pytest.mark.parametrize(("sent", "host"), [(signal.SIGTERM, "127.0.0.1"), (signal.SIGINT, "::1")])
def test_serve_command(folder, waves, sent, host):
    command = [sys.executable, "-m", "amsl_tf", "serve", "--model", folder, "--host", host, "--port", "0", "--grpc-port", "0"]
    with subprocess.Popen([str(part) for part in command], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            rest = process.stdout.readline().split()[1]
            target = process.stdout.readline().split()[1]
            assert len(Client(rest.partition("/v1")[0], "waves").predict(waves)) == 40
            assert len(Client(f"grpc://{target}", "waves").predict(waves)) == 40
            process.send_signal(sent)
            assert process.stdout.read() == "stopped\n"
            assert process.wait() == 0
        finally:
            process.kill()
