"""Servers under test: the embedded one, and TF Serving if it is available.

TF Serving is `tensorflow_model_server` on PATH, or a server given by AMSL_TF_SERVING_URL (REST), AMSL_TF_SERVING_GRPC
(host:port) and AMSL_TF_SERVING_FOLDER, the folder from which it serves the model `waves`; a version is exported there.
"""

import json
import os
import shutil
import socket
import subprocess
import threading
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
import requests

from amsl_tf.export.writer import export_detector
from amsl_tf.serving import Limits, Model, Ports, Server

TOOL = "tensorflow_model_server"
WINDOW = [[[0.0] * 3] * 24]


class Address(NamedTuple):
    """The addresses of a server of the model `waves`."""

    rest: str
    grpc: str

    def url(self, interface):
        return self.rest if interface == "rest" else f"grpc://{self.grpc}"


@contextmanager
def embedded(folder, limits=None, host="127.0.0.1", **settings):
    """Runs the embedded server in a thread; yields its address and its model."""
    model = Model("waves", folder, **settings)
    ports = Ports(host, 0, 0)
    server = Server(model, ports, limits or Limits(batch=64, body_bytes=2**20))
    thread = threading.Thread(target=server.run)
    thread.start()
    address = Address(f"http://{ports.rest_address}", ports.grpc_address)
    try:
        wait_for(address)
        yield address, model
    finally:
        model.close()
        server.stop()
        thread.join(60)
        assert not thread.is_alive()


@contextmanager
def tensorflow_serving(folder):
    ports = []
    for _ in range(2):
        with socket.create_server(("127.0.0.1", 0)) as free:
            ports.append(free.getsockname()[1])
    command = [TOOL, "--model_name=waves", f"--model_base_path={folder}", f"--rest_api_port={ports[0]}", f"--port={ports[1]}"]
    with subprocess.Popen(command) as process:
        try:
            yield Address(f"http://127.0.0.1:{ports[0]}", f"127.0.0.1:{ports[1]}")
        finally:
            process.terminate()


def wait_for(address, version=None):
    """Waits until a version is served, any if None."""
    url = f"{address.rest}/v1/models/waves" + (f"/versions/{version}" if version else "")
    deadline = time.monotonic() + 120
    while True:
        try:
            states = requests.get(url, timeout=5).json().get("model_version_status", [])
        except requests.RequestException:
            states = []
        if any(state["state"] == "AVAILABLE" for state in states):
            return
        assert time.monotonic() < deadline, f"{url} is not served"
        time.sleep(0.05)


@pytest.fixture(scope="session", params=["embedded", "tensorflow_serving"])
def address(request, detector, exported):
    """The address of a server of the model `waves`."""
    with ExitStack() as stack:
        if request.param == "embedded":
            yield stack.enter_context(embedded(exported.parent))[0]
        elif "AMSL_TF_SERVING_URL" in os.environ:
            server = Address(os.environ["AMSL_TF_SERVING_URL"].rstrip("/"), os.environ["AMSL_TF_SERVING_GRPC"])
            wait_for(server, export_detector(detector, Path(os.environ["AMSL_TF_SERVING_FOLDER"])).name)
            yield server
        elif shutil.which(TOOL):
            server = stack.enter_context(tensorflow_serving(exported.parent))
            wait_for(server)
            yield server
        else:
            pytest.skip(f"TF Serving is not available: neither AMSL_TF_SERVING_URL nor {TOOL} on PATH")


@pytest.fixture
def folder(exported, tmp_path):
    """The folder of a model with one version, which a test may change."""
    shutil.copytree(exported, tmp_path / "waves/1")
    return tmp_path / "waves"


def post(address, windows=WINDOW):
    return requests.post(f"{address.rest}/v1/models/waves:predict", data=json.dumps({"instances": windows}), timeout=60)


def connect(address):
    """Opens a connection to the REST port; reading from it fails after 30 seconds."""
    host, port = address.rest.removeprefix("http://").rsplit(":", 1)
    return socket.create_connection((host, int(port)), 30)


def read_all(connection):
    """Reads until the server closes the connection."""
    received = b""
    try:
        while part := connection.recv(2**16):
            received += part
    except ConnectionError:  # closed while the server still received data
        pass
    return received


def until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
