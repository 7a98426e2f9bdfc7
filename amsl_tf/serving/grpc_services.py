"""TF Serving's gRPC interface: Predict, GetModelMetadata and GetModelStatus."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis.get_model_metadata_pb2 import GetModelMetadataResponse, SignatureDefMap
from tensorflow_serving.apis.get_model_status_pb2 import GetModelStatusResponse
from tensorflow_serving.apis.model_pb2 import ModelSpec
from tensorflow_serving.apis.model_service_pb2_grpc import ModelServiceServicer
from tensorflow_serving.apis.predict_pb2 import PredictResponse
from tensorflow_serving.apis.prediction_service_pb2_grpc import PredictionServiceServicer

from amsl_tf.served import DEFAULT
from amsl_tf.serving.metrics import Metrics
from amsl_tf.serving.models import Model, Version, check_shape
from amsl_tf.serving.rest import check_batch, find
from amsl_tf.serving.status import ServingError, invalid

log = logging.getLogger(__name__)


class Prediction(PredictionServiceServicer):
    """Answers PredictionService for one model.

    Args:
        model: The model.
        max_batch: Windows in a request, at most.
        metrics: Count requests.
    """

    def __init__(self, model: Model, max_batch: int, metrics: Metrics) -> None:
        self._model, self._max_batch, self._metrics = model, max_batch, metrics

    def Predict(self, request: Any, context: grpc.ServicerContext) -> PredictResponse:
        """Runs a signature."""
        with _answered(context, self._metrics, "predict"):
            version = _find(self._model, request.model_spec)
            signature = request.model_spec.signature_name
            definition = version.signature(signature)
            inputs = {name: self._decode(name, proto, definition) for name, proto in request.inputs.items()}
            if not context.is_active():  # nobody waits any more
                raise ServingError(grpc.StatusCode.CANCELLED, "The call has been given up.")
            outputs = version.predict(signature, inputs, request.output_filter)
            response = PredictResponse()
            _name(response.model_spec, self._model, version, signature or DEFAULT)
            for name, values in outputs.items():
                response.outputs[name].CopyFrom(tf.make_tensor_proto(values))
            return response

    def _decode(self, name: str, proto: Any, definition: Any) -> np.ndarray:
        """An input as an array; its shape is looked at first, as a few bytes may say that it is huge."""
        shape = [dimension.size for dimension in proto.tensor_shape.dim]
        check_shape(name, shape, definition)
        check_batch(name, shape[0], self._max_batch)
        wanted = definition.inputs[name].dtype
        if proto.dtype != wanted:
            raise invalid(f"{name} must be of type {wanted} (DataType). Received: {proto.dtype}.")
        try:
            return tf.make_ndarray(proto)
        except (ValueError, TypeError) as error:
            raise invalid(f"{name} is not a whole tensor: {error}") from error

    def GetModelMetadata(self, request: Any, context: grpc.ServicerContext) -> GetModelMetadataResponse:
        """The signatures."""
        with _answered(context, self._metrics, "metadata"):
            if not request.metadata_field:
                raise invalid("GetModelMetadataRequest must specify at least one metadata_field")
            for field in request.metadata_field:
                if field != "signature_def":
                    raise invalid(f"Metadata field {field} is not supported")
            version = _find(self._model, request.model_spec)
            signatures = SignatureDefMap()
            for name, definition in version.definitions.items():
                signatures.signature_def[name].CopyFrom(definition)
            response = GetModelMetadataResponse()
            _name(response.model_spec, self._model, version)
            response.metadata["signature_def"].Pack(signatures)
            return response


class Status(ModelServiceServicer):
    """Answers ModelService for one model."""

    def __init__(self, model: Model, metrics: Metrics) -> None:
        self._model, self._metrics = model, metrics

    def GetModelStatus(self, request: Any, context: grpc.ServicerContext) -> GetModelStatusResponse:
        """What has become of the versions."""
        with _answered(context, self._metrics, "status"):
            spec = request.model_spec
            if spec.name != self._model.name:
                raise ServingError(grpc.StatusCode.NOT_FOUND, f"Could not find any versions of model {spec.name}")
            states = self._model.states(_number(spec))
            return GetModelStatusResponse(model_version_status=states)


@contextmanager
def _answered(context: grpc.ServicerContext, metrics: Metrics, method: str) -> Iterator[None]:
    """Ends a call with the status of what is raised inside, and counts it."""
    start, code = time.perf_counter(), grpc.StatusCode.OK
    try:
        yield
    except ServingError as error:
        code = error.code
        context.abort(code, str(error))
    except Exception as error:
        log.exception("a request failed")
        code = grpc.StatusCode.INTERNAL
        context.abort(code, f"{type(error).__name__} in the server; its log says more.")
    finally:
        metrics.observe("grpc", method, code.name, time.perf_counter() - start)


def _find(model: Model, spec: ModelSpec) -> Version:
    return find(model, spec.name, _number(spec))


def _number(spec: ModelSpec) -> int | None:
    if spec.version_label:
        raise invalid(f"Unrecognized servable version label: {spec.version_label}")
    return spec.version.value if spec.HasField("version") else None


def _name(spec: ModelSpec, model: Model, version: Version, signature: str = "") -> None:
    spec.name, spec.signature_name = model.name, signature
    spec.version.value = version.number
