"""A client of served models: one contract for the embedded server and TF Serving, over REST or gRPC."""

import json
import re
from collections.abc import Callable, Collection
from contextlib import suppress
from functools import cached_property
from typing import Any
from urllib.parse import quote, urlsplit

import numpy as np
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from amsl_tf.checks import MAX_COUNT, check_count, check_number
from amsl_tf.data.windows import Windows, check_windows, chunks
from amsl_tf.errors import AMSLError
from amsl_tf.export.layout import DEFAULT, EXPLAIN

RETRIABLE = (429, 502, 503, 504)  # HTTP statuses of a server that is busy or unreachable
FIRST_WAIT = 0.1  # seconds before the second attempt; doubled before each further one
TIMEOUTS = (0.001, 86_400.0)  # seconds; sockets cannot wait for much longer
MAX_VERSION = 2**63 - 1  # a version is a 64-bit integer in TF Serving

_URL = re.compile(r"[^?#\s\ud800-\udfff]+")  # a path is appended to it, and lone surrogates cannot be sent
_NAME = re.compile(r"[^/:\ud800-\udfff]+")
INTEGERS = {"health": np.int32, "nearest": np.int64}  # outputs of other types than float32 and bool, which JSON does not tell


class _ServerUnavailableError(AMSLError):
    """A server that is busy or unreachable, so that a further attempt may succeed."""


class Client:
    """A client of a served model, with the methods of a fitted detector.

    It is a context manager, which closes its connections at the end.

    Args:
        url: `http://host:8501` or `https://...` for REST, possibly with a path, which a proxy may need; `grpc://host:8500` for
            gRPC.
        model: The name of the served model.
        version: The version of the model, at least 0; the newest if None.
        batch: The maximum number of windows in a request, at least 1.
        tries: The maximum number of attempts at a request while the server is busy or unreachable, at least 1, with
            exponentially growing waits between them.
        timeout: The time limit of an attempt in seconds, 0.001 to 86,400.

    Raises:
        AMSLError: The URL is not that of a server, or another argument is not valid.

    Example:
        >>> with Client("http://127.0.0.1:8501") as client:
        ...     result = client.detect(windows)
        >>> abnormal = windows[result["is_anomaly"]]
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
        transports: dict[str, type[_RestTransport | _GrpcTransport]] = {
            "http": _RestTransport,
            "https": _RestTransport,
            "grpc": _GrpcTransport,
        }
        transport = transports[_check_url(url, transports)]
        if not isinstance(model, str) or not _NAME.fullmatch(model):
            raise AMSLError(f"model must be a name without / and :, such as 'amsl'. Received: {model!r}.")
        if version is not None:
            version = check_count("version", version, 0, MAX_VERSION)
        self._batch, self._tries = check_count("batch", batch, 1, MAX_COUNT), check_count("tries", tries, 1, MAX_COUNT)
        self._transport = transport(url, model, version, check_number("timeout", timeout, *TIMEOUTS))
        self._url, self._is_closed = url, False

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections; the client cannot be used afterwards."""
        self._is_closed = True
        self._transport.close()

    @cached_property
    def window_shape(self) -> tuple[int, int]:
        """The shape (T, C) of the windows, time steps and channels; requested once.

        Raises:
            AMSLError: The server rejects the request or cannot be reached.
        """
        _, steps, channels = self._with_retries(self._transport.input_shape)
        return steps, channels

    def detect(self, windows: Any) -> dict[str, np.ndarray]:
        """Scores windows that may hold invalid values, like `AMSLDetector.detect`.

        Args:
            windows: An array (N, T, C), N at least 1, NaN and infinity included; sent in batches.

        Returns:
            `score` float32, `is_anomaly` bool and `valid` bool, (N,) each, and `health` int32 (N, C), the states of the
            channels. A channel with NaN, infinity or a value beyond 1e30 counts as dead; a window without a usable channel has
            a score of NaN and counts as abnormal.

        Raises:
            AMSLError: There are no windows, or the server rejects the request or cannot be reached.
        """
        return self._run(windows, DEFAULT)

    def decision_function(self, windows: Any) -> np.ndarray:
        """Computes the decision scores of windows.

        Args:
            windows: An array (N, T, C), N at least 1.

        Returns:
            float32 (N,), dimensionless; higher is more abnormal, NaN for windows without a usable channel.

        Raises:
            AMSLError: There are no windows, or the server rejects the request or cannot be reached.
        """
        return self.detect(windows)["score"]

    def predict(self, windows: Any) -> np.ndarray:
        """Decides which windows are abnormal.

        Args:
            windows: An array (N, T, C), N at least 1.

        Returns:
            int (N,), 1 for abnormal windows, invalid ones included, and 0 for normal ones.

        Raises:
            AMSLError: There are no windows, or the server rejects the request or cannot be reached.
        """
        return self.detect(windows)["is_anomaly"].astype(int)

    def explain(self, windows: Any) -> dict[str, np.ndarray]:
        """Divides the scores of windows among their causes; see `AMSLDetector.explain`.

        Args:
            windows: An array (N, T, C), N at least 1.

        Returns:
            The fields of an `Explanation` by name; for windows without a usable channel NaN, and -1 as `nearest`.

        Raises:
            AMSLError: There are no windows, or the server rejects the request or cannot be reached.
        """
        return self._run(windows, EXPLAIN)

    def _run(self, windows: Any, signature: str) -> dict[str, np.ndarray]:
        array = check_windows(windows.x if isinstance(windows, Windows) else windows, finite=False)
        parts = [self._with_retries(self._transport.predict, part, signature) for _, part in chunks(array, self._batch)]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _with_retries(self, request: Callable[..., Any], *arguments: Any) -> Any:
        """Makes a request, again while the server is busy or unreachable; raises the error of the last attempt."""
        attempts = Retrying(
            retry=retry_if_exception_type(_ServerUnavailableError),
            stop=stop_after_attempt(self._tries),
            wait=wait_exponential(FIRST_WAIT),
            reraise=True,
        )
        try:
            return attempts(self._attempt, request, *arguments)
        except AMSLError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise AMSLError(f"{self._url}: unexpected response ({error!r}). Is this a server of the model?") from error

    def _attempt(self, request: Callable[..., Any], *arguments: Any) -> Any:
        if self._is_closed:
            raise AMSLError(f"{self._url}: the client is closed. Create a new one.")
        return request(*arguments)


def _check_url(url: Any, schemes: Collection[str]) -> str:
    """Returns the scheme of the URL of a server. Raises AMSLError if it has another form."""
    if isinstance(url, str) and _URL.fullmatch(url):
        with suppress(ValueError):  # an incomplete IPv6 address, or a port that is no number below 65,536
            parts = urlsplit(url)
            has_address = parts.hostname and parts.port != 0
            if has_address and parts.scheme in schemes and (parts.scheme != "grpc" or parts.path in ("", "/")):
                return parts.scheme
    raise AMSLError(
        f"the URL of a server must start with {'://, '.join(schemes)}://. Name a host, a port from 1 to 65535, no query, no "
        f"fragment and, for grpc://, no path, as in http://127.0.0.1:8501. Received: {url!r}."
    )


class _RestTransport:
    def __init__(self, url: str, model: str, version: int | None, timeout: float) -> None:
        import requests

        self._url = f"{url.rstrip('/')}/v1/models/{quote(model, safe='')}" + ("" if version is None else f"/versions/{version}")
        self._timeout, self._requests, self._session = timeout, requests, requests.Session()

    def close(self) -> None:
        self._session.close()

    def predict(self, windows: np.ndarray, signature: str) -> dict[str, np.ndarray]:
        body = json.dumps({"signature_name": signature, "inputs": windows.tolist()})  # NaN included, which TF Serving accepts
        outputs = self._send("POST", self._url + ":predict", body)["outputs"]
        arrays = {name: np.asarray(values) for name, values in outputs.items()}
        return {
            name: array if array.dtype == bool else array.astype(INTEGERS.get(name, np.float32))
            for name, array in arrays.items()
        }

    def input_shape(self) -> list[int]:
        signatures = self._send("GET", self._url + "/metadata")["metadata"]["signature_def"]["signature_def"]
        return [int(item["size"]) for item in signatures[DEFAULT]["inputs"]["windows"]["tensor_shape"]["dim"]]

    def _send(self, method: str, url: str, body: str | None = None) -> dict[str, Any]:
        try:
            response = self._session.request(method, url, data=body, timeout=self._timeout)
        except self._requests.Timeout as error:
            raise AMSLError(f"{url}: no response within {self._timeout:g} seconds ({error}).") from error
        except self._requests.ConnectionError as error:
            raise _ServerUnavailableError(f"{url}: {error}. Is a server running there?") from error
        except (self._requests.RequestException, ValueError) as error:  # the latter from urllib3, of a host such as a..b
            raise AMSLError(f"{url}: {error}. Give a URL such as http://127.0.0.1:8501.") from error
        status = response.status_code
        try:
            values = response.json()
        except ValueError as error:
            raise AMSLError(f"{url}: the response is not JSON (HTTP status {status}). Is this a model server?") from error
        if status == 200:
            return values
        message = values.get("error", values) if isinstance(values, dict) else values
        kind = _ServerUnavailableError if status in RETRIABLE else AMSLError
        raise kind(f"{url}: {message} (HTTP status {status})")


class _GrpcTransport:
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
        response = self._send(self._stub.Predict, request)
        return {name: tf.make_ndarray(values) for name, values in response.outputs.items()}

    def input_shape(self) -> list[int]:
        from tensorflow_serving.apis.get_model_metadata_pb2 import GetModelMetadataRequest, SignatureDefMap

        request = GetModelMetadataRequest(model_spec=self._spec, metadata_field=["signature_def"])
        signatures = SignatureDefMap()
        self._send(self._stub.GetModelMetadata, request).metadata["signature_def"].Unpack(signatures)
        return [item.size for item in signatures.signature_def[DEFAULT].inputs["windows"].tensor_shape.dim]

    def _send(self, call: Any, request: Any) -> Any:
        try:
            return call(request, timeout=self._timeout)
        except self._grpc.RpcError as error:
            codes = (self._grpc.StatusCode.UNAVAILABLE, self._grpc.StatusCode.RESOURCE_EXHAUSTED)
            is_unavailable = error.code() in codes and "larger than max" not in error.details()  # a too large request stays so
            kind = _ServerUnavailableError if is_unavailable else AMSLError
            raise kind(f"{self._url}: {error.details()} ({error.code().name})") from error
