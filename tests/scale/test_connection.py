"""Connecting to clusters, and starting one on this machine."""

import signal
import socket

import pytest

from amsl_tf.errors import AMSLError
from amsl_tf.scale import connection, score_recordings
from amsl_tf.scale.connection import connect
from tests.scale.conftest import make_recording


def test_addresses_without_a_cluster(fitted, monkeypatch):
    """Also one at which something else listens, for which Ray would wait without end."""
    pytest.importorskip("ray", reason="needs the extra scale")
    monkeypatch.setattr(connection, "CONNECT_SECONDS", 0.2)
    monkeypatch.delenv("RAY_USE_TLS", raising=False)
    with socket.socket() as silent, socket.socket() as closed:
        for used in (silent, closed):
            used.bind(("127.0.0.1", 0))
        silent.listen()
        for address, fault in (
            (
                f"127.0.0.1:{silent.getsockname()[1]}",
                r"no connection to a Ray cluster \(what answers there is not Ray\)\. Start one",
            ),
            (f"127.0.0.1:{closed.getsockname()[1]}", r"no connection to a Ray cluster \(.*refused\)\. Start one"),
            ("127.0.0.1:port", r"no connection to a Ray cluster \(.*'port'\)\. Start one"),
            ("ray://host:10001", r"expected auto or HOST:PORT\. Run the command on a node"),
        ):
            with pytest.raises(AMSLError, match=f"^{address}: {fault}"):
                score_recordings(fitted, make_recording(0), address=address)


@pytest.mark.slow
def test_handlers_of_signals_stay(monkeypatch):
    """Ray replaces them: a command would then end with the stack trace of a crash, and not remove its temporary files."""
    pytest.importorskip("ray", reason="needs the extra scale")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    former = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        expected = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
        with connect(workers=1):
            assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == expected
    finally:
        signal.signal(signal.SIGTERM, former)
