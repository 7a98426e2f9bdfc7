"""The ports of the server: IPv4, IPv6, and reservation before the model is loaded."""

import socket
import threading

import numpy as np
import pytest

from amsl_tf.errors import AMSLError
from amsl_tf.serving import Client, Model, Ports, Server
from tests.conftest import run_python
from tests.serving.conftest import embedded, read_all

ONE = np.zeros((1, 24, 3), np.float32)


@pytest.mark.skipif(not socket.has_ipv6, reason="IPv6 is not available")
@pytest.mark.parametrize(("host", "address"), [("::1", "[::1]"), ("::", "[::]"), ("localhost", "127.0.0.1")])
def test_hosts(folder, host, address):
    with embedded(folder, host=host) as (found, _):
        assert found.rest.rpartition(":")[0] == f"http://{address}"
        assert found.grpc.rpartition(":")[0] == address
        for interface in ("rest", "grpc"):
            with Client(found.url(interface), "waves", tries=1) as client:
                assert client.predict(ONE).tolist() == [1]
        if host == "::":  # reached over IPv4 as well
            with Client(f"http://127.0.0.1:{found.rest.rpartition(':')[2]}", "waves", tries=1) as client:
                assert client.window_shape == (24, 3)


@pytest.mark.parametrize("host", ["no.such.host.invalid", "a" * 70, "nul\0", "256.0.0.1"])
def test_unknown_hosts_are_errors(host):
    with pytest.raises(AMSLError, match=r"cannot listen on .* for REST: .* Name another port or host\."):
        Ports(host, 0, 0)


def test_ports_are_released_together():
    with socket.create_server(("127.0.0.1", 0)) as free, socket.create_server(("127.0.0.1", 0)) as taken:
        port, taken_port = free.getsockname()[1], taken.getsockname()[1]
        free.close()
        with pytest.raises(AMSLError, match=f"port {taken_port} for gRPC: .*in use"):
            Ports("127.0.0.1", port, taken_port)
        Ports("127.0.0.1", port, 0).close()


def test_clients_wait_until_the_model_is_loaded(folder):
    ports = Ports(port=0, grpc_port=0)
    with socket.create_connection(ports.rest.getsockname()) as early:
        early.sendall(b"GET /v1/models/waves HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        server = Server(Model("waves", folder), ports)
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            assert b"AVAILABLE" in read_all(early)
        finally:
            server.stop()
            thread.join(60)


@pytest.mark.parametrize("option", ["--port", "--grpc-port"])
def test_serve_reports_an_occupied_port_before_it_loads_the_model(tmp_path, option):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port, other = taken.getsockname()[1], {"--port": "--grpc-port", "--grpc-port": "--port"}[option]
        finished = run_python("-m", "amsl_tf", "serve", "--model", tmp_path / "missing", option, port, other, 0)
    assert finished.returncode == 2
    assert f"cannot listen on 127.0.0.1 port {port} for" in finished.stderr
    assert finished.stderr.count("\n") == 1
