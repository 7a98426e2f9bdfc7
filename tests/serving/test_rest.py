"""The REST interface without a web server: numbers, limits on documents, and encoding."""

import json

import numpy as np
import pytest

from amsl_tf.serving import Limits, Model
from amsl_tf.serving.rest import RestInterface

PREDICT = "/v1/models/waves:predict"
BATCH = 8


@pytest.fixture(scope="module")
def rest(exported):
    return RestInterface(Model("waves", exported.parent), BATCH)


@pytest.mark.parametrize(
    "number", ["1" + "0" * 400, "-1" + "0" * 400, "1" * 5000, "-" + "1" * 5000, "1e400", "1e39", "NaN", "-Infinity"]
)
def test_numbers_that_are_not_finite_make_only_their_window_invalid(rest, waves, number):
    windows = waves[:3].tolist()
    windows[1][4] = ["number"] * 3
    status, text = rest.respond("POST", PREDICT, json.dumps({"inputs": windows}).replace('"number"', number).encode())
    outputs = json.loads(text)["outputs"]
    assert (status, outputs["valid"]) == (200, [True, False, True])
    assert np.isnan(outputs["score"]).tolist() == [False, True, False]
    assert outputs["is_anomaly"][1] is True


def test_integers_are_numbers(rest):
    results = [rest.respond("POST", PREDICT, json.dumps({"inputs": [[[one] * 3] * 24]}).encode()) for one in (1, 1.0)]
    assert results[0] == results[1]
    assert results[0][0] == 200


@pytest.mark.parametrize(
    "document",
    [
        '{"instances": [[' + ",".join(["[0, 0, 0]"] * 1000) + "]]}",  # one window with too many rows
        '{"instances": [' + ",".join(["[" * 100 + "]" * 100] * 50) + "]}",
        '{"instances": [' + '{"a": ' * 2000 + "0" + "}" * 2000 + "]}",
    ],
)
def test_documents_with_too_many_values_are_rejected_before_they_are_parsed(rest, monkeypatch, document):
    """Parsing would block all other requests, for seconds if a document is large."""
    parsed = []
    monkeypatch.setattr("amsl_tf.serving.rest.json.loads", lambda *arguments, **_: parsed.append(arguments))
    status, text = rest.respond("POST", PREDICT, document.encode())
    assert (status, text) == (
        400,
        '{"error": "The document has more values than 8 windows. Send more in several requests."}',
    )
    assert parsed == []


def test_batch_that_is_a_little_too_large_is_rejected_with_its_size(rest):
    status, text = rest.respond("POST", PREDICT, json.dumps({"inputs": [[[0.5] * 3] * 24] * (BATCH + 1)}).encode())
    assert (status, json.loads(text)["error"]) == (
        400,
        "windows must hold 1 to 8 windows. Received: 9. Send more in several requests.",
    )


def test_full_batch_of_the_longest_numbers_is_accepted(rest):
    window = [[-1.2345678901234567e-100] * 3] * 24
    document = json.dumps({"signature_name": "serving_default", "instances": [{"windows": window}] * BATCH})
    assert len(document) <= Limits(batch=BATCH).max_body(24 * 3) - 2**16  # the windows fit beside other keys
    assert rest.respond("POST", PREDICT, document.encode())[0] == 200


def test_limit_on_bodies_follows_from_windows_unless_given():
    assert Limits(batch=10).max_body(100) == 2**16 + 10 * (64 + 32 * 100)
    assert Limits(batch=10, body_bytes=5).max_body(100) == 5


@pytest.mark.parametrize("path", ["/v1/models/waves", "/v1/models/waves/metadata"])
def test_status_and_metadata_are_for_get_and_head(rest, path):
    assert rest.respond("HEAD", path, b"") == rest.respond("GET", path, b"")
    assert rest.respond("GET", path, b"")[0] == 200
    for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
        assert rest.respond(method, path, b"") == (400, json.dumps({"error": f"Malformed request: {method} {path}"}))


@pytest.mark.parametrize("key", ["inputs", "instances"])
def test_responses_are_encoded_in_parts(rest, waves, monkeypatch, key):
    """Encoding blocks all other requests: of an explanation of many windows, for seconds."""
    encoded, dumps = [], json.dumps

    def record(values):
        encoded.append(dumps(values))
        return encoded[-1]

    body = dumps({"signature_name": "explain", key: waves[:BATCH].tolist()}).encode()
    monkeypatch.setattr("amsl_tf.serving.rest.json.dumps", record)
    status, text = rest.respond("POST", PREDICT, body)
    assert status == 200
    assert max(map(len, encoded)) < len(text) / (BATCH / 2)
    assert json.loads(text)  # the parts form a document
