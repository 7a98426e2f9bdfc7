"""The client without a server: retries, errors and URLs. Its results are tested in test_contract.py."""

import math
import re
import socket
from types import SimpleNamespace

import numpy as np
import pytest
import requests

from amsl_tf.data.windows import Windows
from amsl_tf.errors import AMSLError
from amsl_tf.serving import Client

ONE = np.zeros((1, 24, 3))
OUTPUTS = {"outputs": {"score": [0.5], "is_anomaly": [True], "valid": [True]}}


@pytest.fixture
def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@pytest.fixture
def waits(monkeypatch):
    """The seconds that the client waits, in place of the waits."""
    seconds = []
    monkeypatch.setattr("time.sleep", seconds.append)
    return seconds


def client_of(responses, **settings):
    """A REST client whose requests get these responses, in order: a status with a body, or an exception."""
    client, remaining = Client("http://127.0.0.1:1", **settings), iter(responses)

    def request(*_, **__):
        response = next(remaining)
        if isinstance(response, Exception):
            raise response
        status, body = response
        return SimpleNamespace(status_code=status, json=lambda: body)

    client._transport._session.request = request
    return client


@pytest.mark.parametrize("failure", [*((status, {}) for status in (429, 502, 503, 504)), requests.ConnectionError("refused")])
def test_unavailable_server_is_retried(waits, failure):
    client = client_of([failure, failure, (200, OUTPUTS)])
    assert client.decision_function(ONE).tolist() == [0.5]
    assert waits == pytest.approx([0.1, 0.2])


def test_last_error_is_raised_after_the_last_attempt(waits):
    failures = [(503, {"error": f"busy {attempt}"}) for attempt in range(1, 9)]
    with pytest.raises(AMSLError, match=r"busy 5 \(HTTP status 503\)$"):
        client_of(failures, tries=5).predict(ONE)
    assert waits == pytest.approx([0.1, 0.2, 0.4, 0.8])


@pytest.mark.parametrize(
    ("failure", "message"),
    [
        ((400, {"error": "bad shape"}), r"bad shape \(HTTP status 400\)"),
        ((404, {"error": "not found"}), r"not found \(HTTP status 404\)"),
        ((500, {}), "HTTP status 500"),
        (requests.Timeout("slow"), "no response within 60 seconds"),
        (requests.exceptions.InvalidURL("port"), "Give a URL such as"),
        ((200, {}), "unexpected response"),
    ],
)
def test_other_errors_are_not_retried(waits, failure, message):
    with pytest.raises(AMSLError, match=message):
        client_of([failure]).predict(ONE)
    assert waits == []


@pytest.mark.parametrize("body", [[], {}, 5, {"metadata": {}}])
def test_unexpected_metadata_is_an_error(body):
    with pytest.raises(AMSLError, match=r"unexpected response .* Is this a server of the model\?"):
        _ = client_of([(200, body)]).window_shape


def test_response_that_is_not_json_is_an_error(monkeypatch):
    client, response = Client("http://127.0.0.1:1"), requests.Response()
    response.status_code, response._content = 200, b"<html>"
    monkeypatch.setattr(client._transport._session, "request", lambda *_, **__: response)
    with pytest.raises(AMSLError, match=r"the response is not JSON \(HTTP status 200\)\. Is this a model server\?"):
        client.predict(ONE)


def test_no_server(free_port):
    with pytest.raises(AMSLError, match="Is a server running there"):
        Client(f"http://127.0.0.1:{free_port}", tries=1).predict(ONE)
    with pytest.raises(AMSLError, match="UNAVAILABLE"):
        Client(f"grpc://127.0.0.1:{free_port}", tries=1).predict(ONE)


@pytest.mark.parametrize(
    "url",
    [
        *("localhost:8501", "http://[::1", "ftp://host", 5, None, "http://host\ud800", "http://ho st"),
        *(f"{scheme}://{rest}" for scheme in ("http", "grpc") for rest in ("", ":8501", "host:99999", "host:0", "host:x")),
        *(f"{scheme}://host{rest}" for scheme in ("http", "grpc") for rest in ("?", "?x=1", "#f", "/path?x=1", "/#f")),
        "grpc://host/path",
    ],
)
def test_url_that_is_not_of_a_server_is_an_error(url):
    with pytest.raises(AMSLError, match=r"must start with http://.* as in http://127\.0\.0\.1:8501\. Received: "):
        Client(url)


@pytest.mark.parametrize(
    "url", ["HTTP://host", "https://name:word@host:443/path/", "http://[::1]:8501", "grpc://host", "grpc://[::1]:8500/"]
)
def test_url_of_a_server_is_accepted(url):
    Client(url, "my model", np.int64(0), batch=np.int32(1), tries=1, timeout=np.float32(1)).close()


def test_host_that_cannot_be_looked_up_is_an_error():
    with pytest.raises(AMSLError, match="Give a URL such as"):
        Client("http://a..b", tries=1).predict(ONE)


@pytest.mark.parametrize("interface", ["http", "grpc"])
def test_closed_client_is_an_error(interface):
    client = Client(f"{interface}://127.0.0.1:1", tries=1)
    client.close()
    for request in (lambda: client.predict(ONE), lambda: client.window_shape):
        with pytest.raises(AMSLError, match=r"^\w+://127.0.0.1:1: the client is closed\. Create a new one\.$"):
            request()
    client.close()


def test_client_that_is_closed_while_it_waits_makes_no_further_attempt(monkeypatch):
    client = client_of([(503, {}), (200, OUTPUTS)])
    monkeypatch.setattr("time.sleep", lambda _: client.close())
    with pytest.raises(AMSLError, match="the client is closed"):
        client.predict(ONE)


def test_empty_batch_is_an_error():
    with pytest.raises(AMSLError, match="at least 1 window"):
        Client("http://127.0.0.1:1").predict(ONE[:0])


def test_windows_are_sent_in_batches(waits):
    client = client_of([(200, OUTPUTS)] * 3, batch=1)
    assert client.predict(np.zeros((3, 24, 3))).tolist() == [1, 1, 1]


def test_windows_with_metadata_are_accepted_and_ragged_ones_rejected():
    assert client_of([(200, OUTPUTS)]).predict(Windows(ONE, label=[0])).tolist() == [1]
    with pytest.raises(AMSLError, match=r"windows must form one array \(N, T, C\)"):
        client_of([]).predict([[[1.0]], [[1.0], [2.0]]])


@pytest.mark.parametrize("interface", ["http", "grpc"])
@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("model", (None, 5, b"amsl", "", "a/b", "a:predict", "\ud800"), "a name without / and :"),
        ("version", ("x", "1", 1.5, True, -1, 2**63, 2**70), "an integer from 0 to 9223372036854775807"),
        ("batch", (0, 2.5, math.inf, math.nan, "6", None, True, 2**31), "an integer from 1 to 2147483647"),
        ("tries", (0, 1.5, math.inf, math.nan, "6", None, True, 2**31), "an integer from 1 to 2147483647"),
        ("timeout", (0, -1, math.inf, math.nan, 1e300, 10**400, "a", None, True), "a number from 0.001 to 86400"),
    ],
)
def test_invalid_settings_are_rejected(interface, name, values, expected):
    for value in values:
        with pytest.raises(AMSLError, match=f"^{name} must be {expected}.* Received: {re.escape(repr(value))}"):
            Client(f"{interface}://127.0.0.1:1", **{name: value})
