"""The embedded server's own: limits, new versions, and how it stops."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest
import requests

from amsl_tf.errors import AMSLError
from amsl_tf.serving import Client, Limits, Model, Server
from amsl_tf.serving.models import Version
from tests.conftest import ROOT, close
from tests.serving.conftest import embedded, wait_for

WINDOW = [[[0.0] * 3] * 24]


@pytest.fixture
def folder(exported, tmp_path):
    """Of a model of one version that a test may change."""
    shutil.copytree(exported, tmp_path / "waves/1")
    return tmp_path / "waves"


@pytest.fixture
def gate(monkeypatch):
    """Holds predictions back until it is opened; `running` counts those that wait in it."""

    class Gate:
        open = threading.Event()
        running = 0

    predict = Version.predict

    def wait(self, *arguments):
        Gate.running += 1
        assert Gate.open.wait(60)
        return predict(self, *arguments)

    def hold():
        monkeypatch.setattr(Version, "predict", wait)
        return Gate

    return hold


def post(address, windows=WINDOW):
    return requests.post(f"{address.rest}/v1/models/waves:predict", data=json.dumps({"instances": windows}), timeout=60)


def fault_of(address):
    """What a gRPC call that does not wait long fails with."""
    with pytest.raises(AMSLError) as caught:
        Client(address.url("grpc"), "waves", tries=1, timeout=0.2).predict(WINDOW)
    return str(caught.value)


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


def test_deeply_nested_json_is_refused(folder):
    with embedded(folder) as (address, _):
        body = '{"instances":' + "[" * 200_000 + "]" * 200_000 + "}"
        answer = requests.post(f"{address.rest}/v1/models/waves:predict", data=body, timeout=60)
        assert answer.status_code == 400
        assert post(address).status_code == 200


def test_too_many_requests_are_refused_and_tried_again(folder, gate, waves):
    with embedded(folder, Limits(in_flight=2, threads=1)) as (address, _), ThreadPoolExecutor(8) as pool:
        held = gate()
        first = [pool.submit(post, address) for _ in range(2)]
        until(lambda: held.running == 1)
        until(lambda: post(address).status_code == 429)  # as soon as the second has come in
        calls = [Client(address.url("grpc"), "waves", tries=1) for _ in range(2)]
        calls = [pool.submit(one.predict, waves[:1]) for one in calls]
        until(lambda: held.running == 2)
        until(lambda: "RESOURCE_EXHAUSTED" in fault_of(address))
        patient = [pool.submit(Client(address.url(kind), "waves").predict, waves[:1]) for kind in ("rest", "grpc")]
        held.open.set()
        assert [one.result().status_code for one in first] == [200, 200]
        assert all(len(one.result()["score"]) == 1 for one in (*calls, *patient))


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
        shutil.copytree(folder / "1", folder / ".new")
        os.rename(folder / ".new", folder / "2")
        wait_for(address, version=2)
        until(lambda: requests.get(f"{address.rest}/v1/models/waves/versions/1/metadata", timeout=9).status_code == 404)
        shutil.rmtree(folder / "2")  # roll back
        until(lambda: model.version().number == 1)
        done.set()
        assert all(one.result() > 0 for one in asking)
        states = requests.get(f"{address.rest}/v1/models/waves", timeout=9).json()["model_version_status"]
        assert [(state["version"], state["state"]) for state in states] == [("2", "END"), ("1", "AVAILABLE")]


def test_two_versions_are_kept_where_asked(folder):
    shutil.copytree(folder / "1", folder / "2")
    shutil.copytree(folder / "1", folder / "3")
    model = Model("waves", folder, keep=2)
    assert model.version().number == 3
    assert model.version(2).number == 2
    with pytest.raises(AMSLError, match=r"Specific\(waves, 1\)"):
        model.version(1)


def test_a_broken_version_is_not_served(folder):
    with embedded(folder) as (address, model):
        shutil.copytree(folder / "1", folder / "2")
        (folder / "2/saved_model.pb").write_bytes(b"no model")
        model.refresh()
        model.refresh()
        states = requests.get(f"{address.rest}/v1/models/waves", timeout=9).json()["model_version_status"]
        assert [state["state"] for state in states] == ["END", "AVAILABLE"]
        assert states[0]["status"]["error_code"] == "UNKNOWN"
        assert post(address).status_code == 200


def test_what_is_served_stays_where_the_folder_is_emptied(folder):
    with embedded(folder) as (address, model):
        shutil.rmtree(folder / "1")
        model.refresh()
        assert post(address).status_code == 200


def test_a_request_is_answered_when_the_server_stops(folder, gate, waves):
    with ThreadPoolExecutor(3) as pool:
        with embedded(folder) as (address, _):
            held = gate()
            waiting = [pool.submit(Client(address.url(kind), "waves", tries=1).predict, waves[:1]) for kind in ("rest", "grpc")]
            until(lambda: held.running == 2)
            pool.submit(lambda: (time.sleep(0.5), held.open.set()))  # after the server has begun to stop
        assert all(len(one.result()["score"]) == 1 for one in waiting)


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


def test_a_client_of_nobody(waves):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(AMSLError, match="Is a server running there"):
        Client(f"http://127.0.0.1:{port}", tries=1).predict(waves)
    with pytest.raises(AMSLError, match="UNAVAILABLE"):
        Client(f"grpc://127.0.0.1:{port}", tries=1).predict(waves)
    with pytest.raises(AMSLError, match="must start with http"):
        Client("localhost:8501")
    with pytest.raises(AMSLError, match="at least one window"):
        Client(f"http://127.0.0.1:{port}").predict(waves[:0])


@pytest.mark.slow
@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_the_script(folder, waves, sent):
    command = [sys.executable, ROOT / "scripts/serve.py", "--model", folder, "--port", "0", "--grpc-port", "0"]
    with subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, text=True) as process:
        rest = process.stdout.readline().split()[1]
        target = process.stdout.readline().split()[1]
        assert len(Client(rest.partition("/v1")[0], "waves").predict(waves)["score"]) == 40
        with grpc.insecure_channel(target) as channel:
            grpc.channel_ready_future(channel).result(10)
        process.send_signal(sent)
        assert process.stdout.read() == "stopped\n"
        assert process.wait() == 0
