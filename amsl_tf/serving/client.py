"""A client of served models: the same calls for the embedded server and TF Serving, over REST or gRPC."""

import json
import time
from collections.abc import Callable
from functools import cached_property
from itertools import count
from typing import Any
from urllib.parse import quote, urlsplit

import numpy as np

from amsl_tf.data.windows import chunks
from amsl_tf.errors import AMSLError
from amsl_tf.served import DEFAULT, EXPLAIN

AWAY = (429, 502, 503, 504)  # of HTTP: another try may succeed
FIRST_WAIT = 0.1  # seconds; twice as long before each further try


class _Busy(AMSLError):
    """The server is busy or away."""


class Client:
    """Asks a served model.

    Args:
        url: `http://host:8501` or `https://...` for REST, `grpc://host:8500` for gRPC.
        model: The name that it is served by.
        version: Of the model; the newest if None.
        batch: Windows in a request, at most.
        tries: How often a request is sent while the server is busy or away, with growing waits between.
        timeout: Seconds to wait for an answer to one try.

    A context manager, which closes its connections at the end.

    Raises:
        AMSLError: The URL is of another kind.
    """

    def __init__(
        self,
        url: str,
        model: str = "amsl",
        version: int | None = None,
        *,
        batch: int = 32,
        tries: int = 6,
        timeout: float = 60.0,
    ) -> None:
        kinds: dict[str, type[_Rest | _Grpc]] = {"http": _Rest, "https": _Rest, "grpc": _Grpc}
        try:
            scheme = urlsplit(url).scheme
        except ValueError:  # half an IPv6 address
            scheme = ""
        if scheme not in kinds:
            raise AMSLError(f"a server's URL must start with {'://, '.join(kinds)}://. Received: {url!r}.")
        self._transport = kinds[scheme](url, model, version, timeout)
        self._url, self._batch, self._tries = url, batch, tries

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections."""
        self._transport.close()

    @cached_property
    def window_shape(self) -> tuple[int, int]:
        """Time steps and channels of a window. Raises what `predict` raises."""
        _, steps, channels = self._patiently(self._transport.input_shape)
        return steps, channels

    def predict(self, windows: Any) -> dict[str, np.ndarray]:
        """Scores windows.

        Args:
            windows: (N, T, C), as many as you like; NaN and infinity are allowed.

        Returns:
            (N,) each: `score` float32, `is_anomaly` bool, `valid` bool. Where a window is not valid its score is NaN.

        Raises:
            AMSLError: The server refuses the request, or cannot be reached.
        """
        return self._run(windows, DEFAULT)

    def explain(self, windows: Any) -> dict[str, np.ndarray]:
        """Where the error of windows (N, T, C) lies: arrays by the names of an `Explanation`. Raises what `predict` raises."""
        return self._run(windows, EXPLAIN)

    def _run(self, windows: Any, signature: str) -> dict[str, np.ndarray]:
        array = np.asarray(windows, np.float32)
        if not array.size:
            raise AMSLError(f"windows must hold at least one window. Received: shape={array.shape}.")
        parts = [self._patiently(self._transport.predict, part, signature) for _, part in chunks(array, self._batch)]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _patiently(self, ask: Callable[..., Any], *arguments: Any) -> Any:
        """What a request gives, which is sent again while the server is busy or away."""
        for further in count():
            try:
                return ask(*arguments)
            except _Busy:
                if further >= self._tries - 1:
                    raise
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                if isinstance(error, AMSLError):
                    raise
                raise AMSLError(f"{self._url}: not what a server of this model answers ({error!r}). Is it one?") from error
            time.sleep(FIRST_WAIT * 2**further)


class _Rest:
    def __init__(self, url: str, model: str, version: int | None, timeout: float) -> None:
        import requests

        self._url = f"{url.rstrip('/')}/v1/models/{quote(model, safe='')}" + ("" if version is None else f"/versions/{version}")
        self._timeout, self._requests, self._session = timeout, requests, requests.Session()

    def close(self) -> None:
        self._session.close()

    def predict(self, windows: np.ndarray, signature: str) -> dict[str, np.ndarray]:
        body = json.dumps({"signature_name": signature, "inputs": windows.tolist()})  # NaN too, as TF Serving takes it
        made = self._ask("POST", self._url + ":predict", body)["outputs"]
        arrays = {name: np.asarray(values) for name, values in made.items()}
        return {name: array if array.dtype == bool else array.astype(np.float32) for name, array in arrays.items()}

    def input_shape(self) -> list[int]:
        signatures = self._ask("GET", self._url + "/metadata")["metadata"]["signature_def"]["signature_def"]
        return [int(item["size"]) for item in signatures[DEFAULT]["inputs"]["windows"]["tensor_shape"]["dim"]]

    def _ask(self, method: str, url: str, body: str | None = None) -> dict[str, Any]:
        try:
            response = self._session.request(method, url, data=body, timeout=self._timeout)
        except self._requests.Timeout as error:
            raise AMSLError(f"{url}: no answer within {self._timeout:g} seconds ({error}).") from error
        except self._requests.ConnectionError as error:
            raise _Busy(f"{url}: {error}. Is a server running there?") from error
        except self._requests.RequestException as error:
            raise AMSLError(f"{url}: {error}. Give a URL such as http://127.0.0.1:8501.") from error
        try:
            values = response.json()
        except ValueError as error:
            raise AMSLError(
                f"{url}: the answer is no JSON (HTTP status {response.status_code}). Is it a model server?"
            ) from error
        if response.status_code == 200:
            return values
        fault = values.get("error", values) if isinstance(values, dict) else values
        kind = _Busy if response.status_code in AWAY else AMSLError
        raise kind(f"{url}: {fault} (HTTP status {response.status_code})")


class _Grpc:
    def __init__(self, url: str, model: str, version: int | None, timeout: float) -> None:
        import grpc
        from tensorflow_serving.apis.model_pb2 import ModelSpec
        from tensorflow_serving.apis.prediction_service_pb2_grpc import PredictionServiceStub

        self._spec = ModelSpec(name=model)
        if version is not None:
            self._spec.version.value = version
        options = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
        self._url, self._timeout, self._grpc = url, timeout, grpc
        self._channel = grpc.insecure_channel(urlsplit(url).netloc, options)
        self._stub = PredictionServiceStub(self._channel)

    def close(self) -> None:
        self._channel.close()

    def predict(self, windows: np.ndarray, signature: str) -> dict[str, np.ndarray]:
        import tensorflow as tf
        from tensorflow_serving.apis.predict_pb2 import PredictRequest

        request = PredictRequest(model_spec=self._spec)
        request.model_spec.signature_name = signature
        request.inputs["windows"].CopyFrom(tf.make_tensor_proto(windows))
        response = self._ask(self._stub.Predict, request)
        return {name: tf.make_ndarray(values) for name, values in response.outputs.items()}

    def input_shape(self) -> list[int]:
        from tensorflow_serving.apis.get_model_metadata_pb2 import GetModelMetadataRequest, SignatureDefMap

        request = GetModelMetadataRequest(model_spec=self._spec, metadata_field=["signature_def"])
        signatures = SignatureDefMap()
        self._ask(self._stub.GetModelMetadata, request).metadata["signature_def"].Unpack(signatures)
        return [item.size for item in signatures.signature_def[DEFAULT].inputs["windows"].tensor_shape.dim]

    def _ask(self, call: Any, request: Any) -> Any:
        try:
            return call(request, timeout=self._timeout)
        except self._grpc.RpcError as error:
            code = self._grpc.StatusCode
            away = error.code() in (code.UNAVAILABLE, code.RESOURCE_EXHAUSTED) and "larger than max" not in error.details()
            raise (_Busy if away else AMSLError)(f"{self._url}: {error.details()} ({error.code().name})") from error
