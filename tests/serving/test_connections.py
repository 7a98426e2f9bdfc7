"""Connections: slow clients, malformed requests, and their number."""

import logging
import re
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from amsl_tf.serving import Limits
from amsl_tf.serving.connection import Connection
from amsl_tf.serving.rest import RestInterface
from tests.serving.conftest import connect, embedded, post, read_all, until


@pytest.fixture(scope="module")
def address(exported):
    with embedded(exported.parent) as (address, _):
        yield address


GET = b"GET /v1/models/waves HTTP/1.1\r\nHost: x\r\n"


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b"", b""),
        (b"GET / HTTP/1.1\r\nHo", b""),
        (GET + b"\r\nGET / HT", b"HTTP/1.1 200"),
        (GET + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab", b"HTTP/1.1 200"),  # a body that is never complete
    ],
)
def test_connections_without_a_complete_request_are_closed(folder, sent, expected):
    with embedded(folder, Limits(header_seconds=0.2)) as (address, _), connect(address) as slow:
        slow.sendall(sent)
        assert read_all(slow)[:12] == expected


def test_trickling_headers_does_not_prolong_a_connection(folder):
    with embedded(folder, Limits(header_seconds=0.2)) as (address, _), connect(address) as slow:
        closed = threading.Event()
        reader = threading.Thread(target=lambda: (read_all(slow), closed.set()))
        reader.start()
        slow.sendall(GET)
        try:
            while not closed.wait(0.02):
                slow.sendall(b"X")
        except ConnectionError:
            pass
        reader.join(30)
        assert closed.is_set()


def test_running_requests_are_not_limited_by_the_time_for_headers(folder, monkeypatch):
    running, proceed, respond = threading.Event(), threading.Event(), RestInterface.respond

    def wait(*arguments):
        running.set()
        assert proceed.wait(60)
        return respond(*arguments)

    with embedded(folder, Limits(header_seconds=0.2)) as (address, _), ThreadPoolExecutor(1) as pool:
        monkeypatch.setattr(RestInterface, "respond", wait)
        response = pool.submit(post, address)
        try:
            assert running.wait(60)
            with connect(address) as idle:
                assert read_all(idle) == b""  # the time is over
        finally:
            proceed.set()
        assert response.result().status_code == 200


def test_responses_that_are_not_read_are_dropped(folder, monkeypatch):
    lost, connection_lost = threading.Event(), Connection.connection_lost
    with embedded(folder, Limits(transfer_seconds=0.2)) as (address, _):
        monkeypatch.setattr(RestInterface, "respond", lambda *_: (200, "x" * 2**24))
        with connect(address) as slow:
            monkeypatch.setattr(Connection, "connection_lost", lambda *arguments: (connection_lost(*arguments), lost.set()))
            slow.sendall(GET + b"\r\n")
            assert lost.wait(30)
        assert len(requests.get(f"{address.rest}/v1/models/waves", timeout=60).text) == 2**24


def test_connections_are_limited_in_number(folder):
    with embedded(folder, Limits(connections=2)) as (address, _):
        opened = []

        def is_refused():
            opened.append(connect(address))
            opened[-1].sendall(GET + b"\r\n")
            return b"503 Service Unavailable" in opened[-1].recv(1000)

        try:
            until(is_refused)
            assert len(opened) <= 3
        finally:
            for connection in opened:
                connection.close()
        until(lambda: requests.get(f"{address.rest}/v1/models/waves", timeout=60).status_code == 200)


@pytest.fixture
def uvicorn_log(address, caplog):
    """Captures the log of uvicorn, which does not reach the root logger."""
    logger = logging.getLogger("uvicorn")
    logger.addHandler(caplog.handler)
    yield
    logger.removeHandler(caplog.handler)


@pytest.mark.parametrize(
    ("request_text", "status"),
    [
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: abc\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999999999999999\r\nConnection: close\r\n\r\n", b"413"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b"400"),
        (GET + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nA: " + b"x" * 70_000, b"400"),
        (b"HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", b"400"),
        (b"GET /v1/models/waves HTTP/1.1\r\nHost: [\r\nConnection: close\r\n\r\n", b"200"),
    ],
)
def test_unusual_requests_are_answered_once_and_not_logged(address, uvicorn_log, caplog, request_text, status):
    with caplog.at_level(logging.WARNING), connect(address) as connection:
        connection.sendall(request_text)
        response = read_all(connection)
        assert re.findall(rb"HTTP/1.1 (\d+)", response) == [status]
        assert post(address).status_code == 200
    assert caplog.messages == []


def test_pipelined_requests_are_answered_in_order(address):
    with connect(address) as connection:
        connection.sendall(GET + b"\r\n" + GET.replace(b"waves", b"other") + b"Connection: close\r\n\r\n")
        assert re.findall(rb"HTTP/1.1 (\d+)", read_all(connection)) == [b"200", b"404"]


def test_disconnected_clients_do_not_take_a_place(folder):
    with embedded(folder, Limits(in_flight=1)) as (address, _):
        with connect(address) as connection:
            connection.sendall(b"POST /v1/models/waves:predict HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n{")
        assert post(address).status_code == 200
