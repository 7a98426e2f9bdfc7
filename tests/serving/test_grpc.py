"""The gRPC interface of the embedded server: types of inputs, malformed and unsupported calls, and slow clients."""

import socket
import struct

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework.tensor_pb2 import TensorProto
from tensorflow.core.framework.types_pb2 import DataType
from tensorflow_serving.apis import model_service_pb2, prediction_service_pb2
from tensorflow_serving.apis.predict_pb2 import PredictRequest
from tensorflow_serving.apis.prediction_service_pb2_grpc import PredictionServiceStub

from amsl_tf.serving import Client, Limits
from tests.conftest import close
from tests.serving.conftest import embedded, read_all

INTEGERS = [tf.int8, tf.int16, tf.int32, tf.int64, tf.uint8, tf.uint16, tf.uint32, tf.uint64]
METHODS = {
    f"/{service.full_name}/{method.name}"
    for service in (
        prediction_service_pb2.DESCRIPTOR.services_by_name["PredictionService"],
        model_service_pb2.DESCRIPTOR.services_by_name["ModelService"],
    )
    for method in service.methods
}
SUPPORTED = {
    "/tensorflow.serving.PredictionService/Predict",
    "/tensorflow.serving.PredictionService/GetModelMetadata",
    "/tensorflow.serving.ModelService/GetModelStatus",
}


@pytest.fixture(scope="module")
def channel(exported):
    with embedded(exported.parent) as (address, _), grpc.insecure_channel(address.grpc) as channel:
        yield channel


@pytest.fixture
def predict(channel):
    """A function that sends windows, possibly as a tensor that declares another type, and returns the outputs."""

    def send(windows, kind=None):
        request = PredictRequest()
        request.model_spec.name = "waves"
        request.inputs["windows"].CopyFrom(tf.make_tensor_proto(windows))
        if kind is not None:
            request.inputs["windows"].dtype = kind
        outputs = PredictionServiceStub(channel).Predict(request, timeout=60).outputs
        return {name: tf.make_ndarray(values) for name, values in outputs.items()}

    return send


@pytest.mark.parametrize("kind", [tf.float64, tf.float16, tf.bfloat16, *INTEGERS])
def test_real_numbers_are_converted(predict, detector, waves, kind):
    windows = tf.cast(10 * np.abs(waves[:3]), kind)
    close(predict(windows)["score"], detector.decision_function(tf.cast(windows, tf.float32).numpy()))


def test_overflow_makes_only_its_window_invalid(predict, waves):
    windows = waves[:3].astype(np.float64)
    windows[1, 4] = -1e300
    outputs = predict(windows)
    assert outputs["valid"].tolist() == [True, False, True]
    assert np.isnan(outputs["score"]).tolist() == [False, True, False]
    assert outputs["is_anomaly"][1]


@pytest.mark.parametrize(
    ("windows", "kind", "name"),
    [
        (np.zeros((1, 24, 3), bool), None, "DT_BOOL"),
        (np.zeros((1, 24, 3), np.complex64), None, "DT_COMPLEX64"),
        (np.full((1, 24, 3), "0"), None, "DT_STRING"),
        (np.zeros((1, 24, 3)), 0, "DT_INVALID"),
        (np.zeros((1, 24, 3)), 9999, "DataType 9999"),
    ],
)
def test_other_types_are_rejected_by_name(predict, windows, kind, name):
    with pytest.raises(grpc.RpcError) as caught:
        predict(windows, kind)
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert caught.value.details() == f"windows must be of type DT_FLOAT or another type of real numbers. Received: {name}."


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        *((kind, {"int_val": [value]}) for kind in (tf.int8, tf.uint8, tf.int16, tf.uint16) for value in (-(2**31), 2**31 - 1)),
        *((kind, {"half_val": [value]}) for kind in (tf.float16, tf.bfloat16) for value in (-1, 2**16)),
        (tf.float32, {"float_val": [0.0] * 73}),
        (tf.float32, {"tensor_content": b"x"}),
    ],
)
def test_values_that_do_not_form_a_tensor_are_rejected(predict, caplog, kind, content):
    shape = tf.TensorShape((1, 24, 3)).as_proto()
    with pytest.raises(grpc.RpcError) as caught:
        predict(TensorProto(dtype=kind.as_datatype_enum, tensor_shape=shape, **content))
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    name = DataType.Name(kind.as_datatype_enum)
    assert caught.value.details().startswith(f"windows is not a valid tensor of type {name}: ")
    assert caplog.records == []


def assert_rejected(channel, method, message, code, details):
    with pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary(method)(message, timeout=60)
    assert (caught.value.code(), caught.value.details()) == (code, details)


@pytest.mark.parametrize("method", sorted(METHODS - SUPPORTED))
def test_unsupported_methods_are_rejected_without_a_log_entry(channel, caplog, method):
    details = "The method is not supported by this server. Use Predict, GetModelMetadata or GetModelStatus."
    assert_rejected(channel, method, b"", grpc.StatusCode.UNIMPLEMENTED, details)
    assert caplog.records == []


@pytest.mark.parametrize("method", sorted(METHODS))
def test_malformed_messages_are_rejected_without_a_log_entry(channel, caplog, method):
    assert_rejected(channel, method, b"\xff", grpc.StatusCode.INTERNAL, "Exception deserializing request!")
    assert caplog.records == []


def stall(address, calls):
    """Opens a connection, on which the uploads of several calls begin and never end."""

    def frame(kind, flags, stream, content):
        return struct.pack(">I", len(content))[1:] + struct.pack(">BBI", kind, flags, stream) + content

    def header(name, value):  # a literal of HPACK
        return b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value

    fields = {
        b":method": b"POST",
        b":scheme": b"http",
        b":path": b"/tensorflow.serving.PredictionService/Predict",
        b":authority": b"x",
        b"te": b"trailers",
        b"content-type": b"application/grpc",
    }
    headers = b"".join(header(*item) for item in fields.items())
    message = b"\0" + struct.pack(">I", 1000) + b"x"
    host, port = address.grpc.rsplit(":", 1)
    connection = socket.create_connection((host, int(port)), 30)
    connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b""))
    for stream in range(1, 2 * calls, 2):
        connection.sendall(frame(1, 4, stream, headers) + frame(0, 0, stream, message))
    ping = b"received"
    connection.sendall(frame(6, 0, 0, ping))
    received = b""
    while ping not in received:  # the answer: all frames before have been received
        received += connection.recv(1000)
    return connection


def test_slow_uploads_neither_take_threads_nor_count_as_requests_in_flight(folder, waves):
    with (
        embedded(folder, Limits(threads=2, in_flight=2)) as (address, _),
        stall(address, calls=8),
        Client(address.url("grpc"), "waves", tries=1, timeout=20) as client,
    ):
        assert len(client.predict(waves[:2])) == 2


def test_stalled_calls_end(folder, monkeypatch, waves):
    for name in ("CONNECTION_SECONDS", "CALL_SECONDS"):
        monkeypatch.setattr(f"amsl_tf.serving.server.{name}", 0.2)
    with embedded(folder) as (address, _), stall(address, calls=1) as connection:
        read_all(connection)  # until the server closes the connection
        with Client(address.url("grpc"), "waves", tries=1) as client:
            assert len(client.predict(waves[:2])) == 2
