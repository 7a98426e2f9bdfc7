"""The contract of both servers: the embedded one always, TF Serving if it is available."""

import json

import grpc
import numpy as np
import pytest
import requests
import tensorflow as tf
from tensorflow_serving.apis.get_model_metadata_pb2 import GetModelMetadataRequest, SignatureDefMap
from tensorflow_serving.apis.get_model_status_pb2 import GetModelStatusRequest, ModelVersionStatus
from tensorflow_serving.apis.model_service_pb2_grpc import ModelServiceStub
from tensorflow_serving.apis.predict_pb2 import PredictRequest
from tensorflow_serving.apis.prediction_service_pb2_grpc import PredictionServiceStub

from amsl_tf.errors import AMSLError
from amsl_tf.serving import Client
from tests.conftest import close

ONE = [[[0.0] * 3] * 24]  # a batch of one window


@pytest.fixture(params=["rest", "grpc"])
def client(request, address):
    return Client(address.url(request.param), "waves", batch=64)


@pytest.fixture
def channel(address):
    with grpc.insecure_channel(address.grpc) as channel:
        yield channel


def send(address, method="POST", path="/v1/models/waves:predict", body=None):
    data = json.dumps(body) if isinstance(body, dict) else body
    response = requests.request(method, address.rest + path, data=data, timeout=60)
    return response.status_code, response.json()


@pytest.mark.parametrize("count", [1, 7, 64])
def test_client_has_the_results_of_the_detector(client, detector, waves, count):
    rows = np.arange(count)
    windows = waves[rows % len(waves)] * np.where(rows % 3, 1, 3)[:, None, None]  # every third is abnormal
    detected, expected = client.detect(windows), detector.detect(windows)
    assert {name: values.dtype for name, values in detected.items()} == {
        "score": np.float32,
        "is_anomaly": bool,
        "valid": bool,
        "health": np.int32,
    }
    close(detected["score"], expected["score"])
    assert detected["is_anomaly"].tolist() == expected["is_anomaly"].tolist()
    assert detected["valid"].all()
    decisions, scores = client.predict(windows), client.decision_function(windows)
    assert (decisions.dtype, scores.dtype) == (detector.predict(windows).dtype, np.float32)
    assert decisions.tolist() == detector.predict(windows).tolist()
    assert decisions[rows % 3 == 0].all()
    close(scores, detector.decision_function(windows))


def test_invalid_windows_do_not_affect_others(client, detector, waves):
    windows = waves[:3].copy()
    windows[1, 4] = np.nan
    windows[2, 4] = -np.inf
    detected = client.detect(windows)
    assert detected["valid"].tolist() == [True, False, False]
    assert client.predict(windows).tolist() == [*detector.predict(windows[:1]), 1, 1]
    assert np.isnan(detected["score"][1:]).all()
    close(detected["score"][:1], detector.decision_function(windows[:1]))


def test_client_has_the_explanation_of_the_detector(client, detector, waves):
    explanation = client.explain(waves[:2])
    for name, expected in detector.explain(waves[:2])._asdict().items():
        np.testing.assert_allclose(explanation[name], expected, atol=1e-6)


def test_window_shape(client):
    assert client.window_shape == (24, 3)


def test_client_raises_errors_of_the_server(address, client):
    with pytest.raises(AMSLError, match=r"HTTP status 400|INVALID_ARGUMENT"):
        client.detect(np.zeros((2, 24, 4)))
    for interface in ("rest", "grpc"):
        with pytest.raises(AMSLError, match="not found"):
            Client(address.url(interface), "waves", version=99).detect(ONE)
        with pytest.raises(AMSLError, match="not found"):
            Client(address.url(interface), "other").detect(ONE)


def test_rows_and_columns(address, waves):
    two = waves[:2].tolist()
    _, rows = send(address, body={"instances": two})
    assert [set(row) for row in rows["predictions"]] == [{"score", "is_anomaly", "valid", "health"}] * 2
    assert send(address, body={"instances": [{"windows": window} for window in two]}) == (200, rows)
    _, columns = send(address, body={"inputs": two, "signature_name": "serving_default"})
    assert columns["outputs"]["score"] == [row["score"] for row in rows["predictions"]]
    assert send(address, body={"inputs": {"windows": two}}) == (200, columns)


def test_nan_is_accepted(address):
    body = json.dumps({"instances": ONE}).replace("0.0", "NaN")
    status, response = send(address, body=body)
    assert status == 200
    assert np.isnan(response["predictions"][0]["score"])


def test_status_and_metadata(address):
    _, status = send(address, "GET", "/v1/models/waves")
    (state,) = [state for state in status["model_version_status"] if state["state"] == "AVAILABLE"]
    assert state["status"] == {"error_code": "OK", "error_message": ""}
    status_code, metadata = send(address, "GET", f"/v1/models/waves/versions/{state['version']}/metadata")
    assert status_code == 200
    assert metadata["model_spec"] == {"name": "waves", "signature_name": "", "version": state["version"]}
    signatures = metadata["metadata"]["signature_def"]["signature_def"]
    assert [item["size"] for item in signatures["explain"]["inputs"]["windows"]["tensor_shape"]["dim"]] == ["-1", "24", "3"]
    assert signatures["serving_default"]["outputs"]["is_anomaly"]["dtype"] == "DT_BOOL"
    assert signatures["serving_default"]["method_name"] == "tensorflow/serving/predict"


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "error"),
    [
        ("POST", "/v1/models/waves:predict", b"", 400, "JSON Parse error: The document is empty"),
        ("POST", "/v1/models/waves:predict", b'{"instances": [', 400, "JSON Parse error"),
        ("POST", "/v1/models/waves:predict", b"[1, 2]", 400, "Is not object"),
        ("POST", "/v1/models/waves:predict", {}, 400, "Missing 'inputs' or 'instances' key"),
        ("POST", "/v1/models/waves:predict", {"instances": ONE, "inputs": ONE}, 400, "expecting only one of 'inputs'"),
        ("POST", "/v1/models/waves:predict", {"instances": []}, 400, "No values in 'instances' array"),
        ("POST", "/v1/models/waves:predict", {"instances": 5}, 400, "Expecting 'instances' to be an list/array"),
        ("POST", "/v1/models/waves:predict", {"instances": [["a"]]}, 400, "is not of expected type: float"),
        ("POST", "/v1/models/waves:predict", {"instances": [[[1, 2], [3]]]}, 400, ""),
        ("POST", "/v1/models/waves:predict", {"instances": [[[1, 2, 3]]]}, 400, ""),
        ("POST", "/v1/models/waves:predict", {"instances": [{"other": ONE[0]}]}, 400, ""),
        ("POST", "/v1/models/waves:predict", {"inputs": {"other": ONE}}, 400, "Missing named input: windows"),
        ("POST", "/v1/models/waves:predict", {"instances": ONE, "signature_name": "no"}, 400, '"no" not found in signature'),
        ("POST", "/v1/models/waves:predict", {"instances": ONE, "signature_name": 5}, 400, "must be a string"),
        ("POST", "/v1/models/other:predict", b"{", 400, "JSON Parse error"),
        ("POST", "/v1/models/other:predict", {"instances": ONE}, 404, "Servable not found for request: Latest(other)"),
        (
            "POST",
            "/v1/models/waves/versions/99:predict",
            {"instances": ONE},
            404,
            "Servable not found for request: Specific(waves, 99)",
        ),
        (
            "POST",
            "/v1/models/waves/labels/canary:predict",
            {"instances": ONE},
            400,
            "Unrecognized servable version label: canary",
        ),
        ("POST", "/v1/models/waves:guess", {"instances": ONE}, 400, "Malformed request: POST /v1/models/waves:guess"),
        ("GET", "/v1/models/other", None, 404, "Could not find any versions of model other"),
        ("GET", "/v1/models/waves/versions/99", None, 404, "Could not find version 99 of model waves"),
        ("GET", "/v1/models/waves/versions/" + "9" * 20, None, 400, ""),
        ("GET", "/v1/elsewhere", None, 400, "Malformed request: GET /v1/elsewhere"),
    ],
)
def test_bad_requests(address, method, path, body, status, error):
    found, response = send(address, method, path, body)
    assert found == status
    assert error in response["error"]
    assert send(address, body={"instances": ONE})[0] == 200


def test_grpc(channel, waves):
    request = GetModelStatusRequest()
    request.model_spec.name = "waves"
    states = ModelServiceStub(channel).GetModelStatus(request).model_version_status
    assert ModelVersionStatus.AVAILABLE in [state.state for state in states]

    request = GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "waves"
    response = PredictionServiceStub(channel).GetModelMetadata(request)
    signatures = SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(signatures)
    assert response.model_spec.version.value == states[0].version
    assert set(signatures.signature_def["serving_default"].outputs) == {"score", "is_anomaly", "valid", "health"}

    request = PredictRequest(output_filter=["score"])
    request.model_spec.name = "waves"
    request.inputs["windows"].CopyFrom(tf.make_tensor_proto(waves[:2]))
    response = PredictionServiceStub(channel).Predict(request)
    assert set(response.outputs) == {"score"}
    assert response.model_spec.signature_name == "serving_default"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"name": "other"}, "NOT_FOUND"),
        ({"version": 99}, "NOT_FOUND"),
        ({"signature": "no"}, "FAILED_PRECONDITION"),
        ({"inputs": {"windows": np.zeros((1, 24, 3), bool)}}, "INVALID_ARGUMENT"),
        ({"inputs": {}}, "INVALID_ARGUMENT"),
        ({"inputs": {"other": np.zeros((1, 24, 3), np.float32)}}, "INVALID_ARGUMENT"),
        ({"inputs": {"windows": np.zeros((0, 24, 3), np.float32)}}, "INVALID_ARGUMENT"),
        ({"inputs": {"windows": np.zeros((1, 24, 4), np.float32)}}, "INVALID_ARGUMENT"),
        ({"inputs": {"windows": np.array([["a"]])}}, "INVALID_ARGUMENT"),
        ({"outputs": ["no"]}, "INVALID_ARGUMENT"),
    ],
)
def test_bad_grpc_requests(channel, change, code):
    request = PredictRequest(output_filter=change.get("outputs", []))
    request.model_spec.name = change.get("name", "waves")
    request.model_spec.signature_name = change.get("signature", "")
    if "version" in change:
        request.model_spec.version.value = change["version"]
    for name, values in change.get("inputs", {"windows": np.zeros((1, 24, 3), np.float32)}).items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(values))
    with pytest.raises(grpc.RpcError) as caught:
        PredictionServiceStub(channel).Predict(request)
    assert caught.value.code().name == code
