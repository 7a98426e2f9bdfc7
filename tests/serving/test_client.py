"""A client of servers that are not there, or of another kind."""

import socket

import pytest

from amsl_tf.errors import AMSLError
from amsl_tf.serving import Client


def test_a_client_of_nobody(waves):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(AMSLError, match="Is a server running there"):
        Client(f"http://127.0.0.1:{port}", tries=1).predict(waves)
    with pytest.raises(AMSLError, match="UNAVAILABLE"):
        Client(f"grpc://127.0.0.1:{port}", tries=1).predict(waves)
    for url in ("localhost:8501", "http://[::1"):
        with pytest.raises(AMSLError, match="must start with http"):
            Client(url)
    with pytest.raises(AMSLError, match="at least one window"):
        Client(f"http://127.0.0.1:{port}").predict(waves[:0])


def test_a_client_of_another_kind_of_server(monkeypatch):
    for answer in ([], {}, 5, {"metadata": {}}):
        client = Client("http://127.0.0.1:1", "waves")
        monkeypatch.setattr(client._transport, "_ask", lambda *_, answer=answer: answer)
        with pytest.raises(AMSLError, match="not what a server of this model answers"):
            _ = client.window_shape
