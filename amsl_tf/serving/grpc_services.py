"""The gRPC interface of TF Serving: Predict, GetModelMetadata and GetModelStatus."""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from tensorflow.core.framework.types_pb2 import DataType
from tensorflow_serving.apis.get_model_metadata_pb2 import GetModelMetadataResponse, SignatureDefMap
from tensorflow_serving.apis.get_model_status_pb2 import GetModelStatusResponse
from tensorflow_serving.apis.model_pb2 import ModelSpec
from tensorflow_serving.apis.model_service_pb2_grpc import ModelServiceServicer
from tensorflow_serving.apis.predict_pb2 import PredictResponse
from tensorflow_serving.apis.prediction_service_pb2_grpc import PredictionServiceServicer

from amsl_tf.export.layout import DEFAULT
from amsl_tf.serving.limits import Limits
from amsl_tf.serving.metrics import Metrics
from amsl_tf.serving.models import Model
from amsl_tf.serving.rest import check_batch, find_version
from amsl_tf.serving.status import ServingError, invalid, too_many
from amsl_tf.serving.version import Version, check_shape

log = logging.getLogger(__name__)


def _is_fault_of_server(record: logging.LogRecord) -> bool:
    """Returns whether a record of gRPC is not about a malformed message, of which its sender is told."""
    return record.msg != "Exception deserializing message!"


logging.getLogger("grpc._common").addFilter(_is_fault_of_server)  # else a client can fill the log with tracebacks


class PredictionService(PredictionServiceServicer):
    """TF Serving's PredictionService for one model.

    Args:
        model: The model.
        limits: The limits on requests.
        metrics: The metrics that count requests.
    """

    def __init__(self, model: Model, limits: Limits, metrics: Metrics) -> None:
        self._model, self._limits, self._metrics = model, limits, metrics
        self._places, self._threads = threading.Semaphore(limits.in_flight), threading.Semaphore(limits.threads)

    def Predict(self, request: Any, context: grpc.ServicerContext) -> PredictResponse:
        """Runs a signature on the inputs of a PredictRequest."""
        with _handle_errors(context, self._metrics, "predict"), self._place():
            version = _find_version(self._model, request.model_spec)
            signature = request.model_spec.signature_name
            definition = version.signature(signature)
            inputs = {name: self._decode(name, proto, definition) for name, proto in request.inputs.items()}
            if not context.is_active():  # the client has given up
                raise ServingError(grpc.StatusCode.CANCELLED, "The call has been cancelled.")
            outputs = version.predict(signature, inputs, request.output_filter)
            response = PredictResponse()
            _set_model_spec(response.model_spec, self._model, version, signature or DEFAULT)
            for name, values in outputs.items():
                response.outputs[name].CopyFrom(tf.make_tensor_proto(values))
            return response

    @contextmanager
    def _place(self) -> Iterator[None]:
        """Waits for a thread. Raises ServingError if too many requests run or wait."""
        if not self._places.acquire(blocking=False):
            raise too_many(self._limits.in_flight)
        try:
            with self._threads:
                yield
        finally:
            self._places.release()

    def _decode(self, name: str, proto: Any, definition: Any) -> np.ndarray:
        """Converts an input to an array, after its shape is checked: a few bytes can declare a huge tensor."""
        shape = [dimension.size for dimension in proto.tensor_shape.dim]
        check_shape(name, shape, definition)
        check_batch(name, shape[0], self._limits.batch)
        if not _is_number(proto.dtype):
            raise invalid(
                f"{name} must be of type {_type_name(definition.inputs[name].dtype)} or another type of real numbers. "
                f"Received: {_type_name(proto.dtype)}."
            )
        try:
            return tf.make_ndarray(proto)
        except (ValueError, TypeError, OverflowError) as error:
            raise invalid(f"{name} is not a valid tensor of type {_type_name(proto.dtype)}: {error}") from error

    def GetModelMetadata(self, request: Any, context: grpc.ServicerContext) -> GetModelMetadataResponse:
        """Returns the signatures of a version."""
        with _handle_errors(context, self._metrics, "metadata"):
            if not request.metadata_field:
                raise invalid("GetModelMetadataRequest must specify at least one metadata_field")
            for field in request.metadata_field:
                if field != "signature_def":
                    raise invalid(f"Metadata field {field} is not supported")
            version = _find_version(self._model, request.model_spec)
            signatures = SignatureDefMap()
            for name, definition in version.definitions.items():
                signatures.signature_def[name].CopyFrom(definition)
            response = GetModelMetadataResponse()
            _set_model_spec(response.model_spec, self._model, version)
            response.metadata["signature_def"].Pack(signatures)
            return response

    def Classify(self, request: Any, context: grpc.ServicerContext) -> None:
        """Rejects the call, like Regress and MultiInference: the model has no signatures for them."""
        with _handle_errors(context, self._metrics, "predict"):
            raise _unsupported()

    Regress = MultiInference = Classify


class ModelService(ModelServiceServicer):
    """TF Serving's ModelService for one model.

    Args:
        model: The model.
        metrics: The metrics that count requests.
    """

    def __init__(self, model: Model, metrics: Metrics) -> None:
        self._model, self._metrics = model, metrics

    def GetModelStatus(self, request: Any, context: grpc.ServicerContext) -> GetModelStatusResponse:
        """Returns the states of all versions, or of the one that is requested."""
        with _handle_errors(context, self._metrics, "status"):
            spec = request.model_spec
            if spec.name != self._model.name:
                raise ServingError(grpc.StatusCode.NOT_FOUND, f"Could not find any versions of model {spec.name}")
            states = self._model.states(_version_number(spec))
            return GetModelStatusResponse(model_version_status=states)

    def HandleReloadConfigRequest(self, request: Any, context: grpc.ServicerContext) -> None:
        """Rejects the call: the server has one model, whose versions are loaded as they appear."""
        with _handle_errors(context, self._metrics, "status"):
            raise _unsupported()


@contextmanager
def _handle_errors(context: grpc.ServicerContext, metrics: Metrics, method: str) -> Iterator[None]:
    """Ends a call with the status of an error that is raised inside, and counts the call."""
    start, code = time.perf_counter(), grpc.StatusCode.OK
    try:
        yield
    except ServingError as error:
        code = error.code
        context.abort(code, str(error))
    except Exception as error:
        log.exception("a request failed")
        code = grpc.StatusCode.INTERNAL
        context.abort(code, f"{type(error).__name__} in the server; see its log.")
    finally:
        metrics.observe("grpc", method, code.name, time.perf_counter() - start)


def _unsupported() -> ServingError:
    message = "The method is not supported by this server. Use Predict, GetModelMetadata or GetModelStatus."
    return ServingError(grpc.StatusCode.UNIMPLEMENTED, message)


def _is_number(number: int) -> bool:
    """Returns whether a DataType is one of real numbers, which can be converted to each other."""
    try:
        kind = tf.dtypes.as_dtype(number)
    except TypeError:  # unknown
        return False
    return kind.is_floating or kind.is_integer


def _type_name(number: int) -> str:
    """Returns the name of a DataType, such as DT_FLOAT."""
    try:
        return DataType.Name(number)
    except ValueError:  # unknown
        return f"DataType {number}"


def _find_version(model: Model, spec: ModelSpec) -> Version:
    return find_version(model, spec.name, _version_number(spec))


def _version_number(spec: ModelSpec) -> int | None:
    if spec.version_label:
        raise invalid(f"Unrecognized servable version label: {spec.version_label}")
    return spec.version.value if spec.HasField("version") else None


def _set_model_spec(spec: ModelSpec, model: Model, version: Version, signature: str = "") -> None:
    spec.name, spec.signature_name = model.name, signature
    spec.version.value = version.number
