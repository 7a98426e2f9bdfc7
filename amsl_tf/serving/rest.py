"""The REST interface of TF Serving without a web server: from method, path and body to HTTP status and JSON text."""

import json
import logging
import re
from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any

import numpy as np
from google.protobuf.json_format import MessageToDict
from grpc import StatusCode
from tensorflow.core.protobuf.meta_graph_pb2 import SignatureDef

from amsl_tf.export.layout import DEFAULT, VERSION
from amsl_tf.serving.models import Model
from amsl_tf.serving.status import HTTP, ServingError, invalid
from amsl_tf.serving.version import Version

log = logging.getLogger(__name__)

_MODEL = rf"/v1/models/([^/:]+)(?:/versions/({VERSION})|/labels/([^/:]+))?"
_PREDICT = re.compile(_MODEL + ":(predict|classify|regress)", re.IGNORECASE)
_STATUS_OR_METADATA = re.compile(_MODEL + "(/metadata)?", re.IGNORECASE)


class RestInterface:
    """The REST interface of one model, without a web server.

    Args:
        model: The model.
        max_batch: The maximum number of windows in a request.
    """

    def __init__(self, model: Model, max_batch: int) -> None:
        self._model, self._max_batch = model, max_batch

    def respond(self, method: str, path: str, body: bytes) -> tuple[int, str]:
        """Responds to a request; errors become responses.

        Args:
            method: The HTTP method.
            path: The path of the URL.
            body: The body of the request, JSON.

        Returns:
            The HTTP status and the JSON text of the response; for HEAD those of GET, of which the web server sends the headers.
        """
        try:
            if method == "POST" and (match := _PREDICT.fullmatch(path)):
                return 200, self._predict(match, body)
            if method in ("GET", "HEAD") and (match := _STATUS_OR_METADATA.fullmatch(path)):
                return 200, json.dumps(self._metadata(match) if match[4] else self._states(match))
            raise invalid(f"Malformed request: {method} {path}")
        except ServingError as error:
            return error_response(error)
        except Exception as error:
            log.exception("a request failed")
            return error_response(ServingError(StatusCode.INTERNAL, f"{type(error).__name__} in the server; see its log."))

    def _predict(self, match: re.Match[str], body: bytes) -> str:
        if match[4].lower() != "predict":
            raise ServingError(StatusCode.UNIMPLEMENTED, f"{match[4]} is not supported by this server. Use predict.")
        document = _parse(body, self._max_batch, self._model.window_values())
        version = self._version(match)
        signature = document.get("signature_name", "")
        if not isinstance(signature, str):
            raise invalid("JSON Value: not formatted correctly. 'signature_name' key must be a string value.")
        if (signature or DEFAULT) not in version.loaded.signatures:
            raise invalid(f'Serving signature name: "{signature or DEFAULT}" not found in signature def')
        definition = version.signature(signature)
        parsed, by_row = _inputs(document, definition)
        inputs = {name: _array(name, values, definition, self._max_batch) for name, values in parsed.items()}
        outputs = version.predict(signature, inputs)
        return f'{{"predictions": {_rows(outputs)}}}' if by_row else f'{{"outputs": {_columns(outputs)}}}'

    def _metadata(self, match: re.Match[str]) -> dict[str, Any]:
        version = self._version(match)
        signatures = {name: message_to_dict(definition) for name, definition in version.definitions.items()}
        return {
            "model_spec": {"name": self._model.name, "signature_name": "", "version": str(version.number)},
            "metadata": {"signature_def": {"signature_def": signatures}},
        }

    def _states(self, match: re.Match[str]) -> dict[str, Any]:
        name, number, label, _ = match.groups()
        if name != self._model.name:
            raise ServingError(StatusCode.NOT_FOUND, f"Could not find any versions of model {name}")
        _reject_label(label)
        states = self._model.states(int(number) if number else None)
        return {"model_version_status": [message_to_dict(state) for state in states]}

    def _version(self, match: re.Match[str]) -> Version:
        name, number, label, _ = match.groups()
        _reject_label(label)
        return find_version(self._model, name, int(number) if number else None)


def error_response(error: ServingError) -> tuple[int, str]:
    """Returns the HTTP status and the JSON text of an error."""
    return HTTP.get(error.code, 500), json.dumps({"error": str(error)})


def find_version(model: Model, name: str, number: int | None) -> Version:
    """Returns the version that a request names.

    Args:
        model: The served model.
        name: The name of the model in the request.
        number: The number of the version; the newest if None.

    Raises:
        ServingError: The model has another name, or the version is not served.
    """
    if name != model.name:
        requested = f"Latest({name})" if number is None else f"Specific({name}, {number})"
        raise ServingError(StatusCode.NOT_FOUND, f"Servable not found for request: {requested}")
    return model.version(number)


def check_batch(name: str, count: int, limit: int) -> None:
    """Raises ServingError if an input holds no windows or more than `limit`."""
    if not 1 <= count <= limit:
        raise invalid(f"{name} must hold 1 to {limit} windows. Received: {count}. Send more in several requests.")


def message_to_dict(message: Any) -> dict[str, Any]:
    """Converts a message as TF Serving does: with the field names of the protocol and all default values."""
    return MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)


def _reject_label(label: str | None) -> None:
    if label is not None:
        raise invalid(f"Unrecognized servable version label: {label}")


def _parse(body: bytes, max_batch: int, window_values: int) -> dict[str, Any]:
    """Parses a body. Raises ServingError if it is not a JSON object, or could not hold a batch of at most `max_batch` windows.

    Parsing blocks all other threads, so that the number of values is limited before. Twice as many as in the largest batch are
    let through, because `check_batch` says more about a batch that is a little too large.
    """
    if not body:
        raise invalid("JSON Parse error: The document is empty")
    limit = 2 * max_batch * (window_values + 2)
    if max(body.count(token) for token in (b",", b"[", b"{")) > limit:
        raise invalid(f"The document has more values than {max_batch} windows. Send more in several requests.")
    try:
        document = json.loads(body, parse_int=float)  # an integer of any length is a number, infinity if float64 overflows
    except (ValueError, RecursionError) as error:
        raise invalid(f"JSON Parse error: {error}") from error
    if not isinstance(document, dict):
        raise invalid("JSON Value: Is not object")
    return document


def _inputs(document: Mapping[str, Any], definition: SignatureDef) -> tuple[dict[str, Any], bool]:
    """Returns the values of the inputs by name, and whether they are in row format (`instances`)."""
    names = sorted(definition.inputs)
    if "instances" in document and "inputs" in document:
        raise invalid("JSON Value: Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist")
    if "instances" in document:
        rows = document["instances"]
        if not isinstance(rows, list):
            raise invalid("JSON Value: Expecting 'instances' to be an list/array")
        if not rows:
            raise invalid("JSON Value: No values in 'instances' array")
        if not isinstance(rows[0], dict):
            return {names[0]: rows}, True
        for position, row in enumerate(rows):
            if not isinstance(row, dict) or sorted(row) != names:
                raise invalid(
                    f"Failed to process element: {position} of 'instances' list. keys must be equal to: {','.join(names)}"
                )
        return {name: [row[name] for row in rows] for name in names}, True
    if "inputs" in document:
        values = document["inputs"]
        if not isinstance(values, dict):
            return {names[0]: values}, False
        for name in names:
            if name not in values:
                raise invalid(f"Missing named input: {name} in 'inputs' object.")
        return {name: values[name] for name in names}, False
    raise invalid("Missing 'inputs' or 'instances' key")


def _array(name: str, values: Any, definition: SignatureDef, limit: int) -> np.ndarray:
    """Converts nested lists of JSON to an array. Raises ServingError if they do not form one of at most `limit` windows.

    The types of the values are checked first: an array of strings would need the length of the longest for each of them.
    """
    if isinstance(values, list):
        check_batch(name, len(values), limit)
    depth = len(definition.inputs[name].tensor_shape.dim)
    level: list[Any] = [values]
    for _ in range(depth):
        types = set(map(type, level))
        if types - {list, float}:
            raise invalid(f"{name}: JSON Value is not of expected type: float")
        if types != {list}:
            break
        level = list(chain.from_iterable(level))
    types = set(map(type, level))
    if types - {list, float}:
        raise invalid(f"{name}: JSON Value is not of expected type: float")
    if types != {float}:
        raise invalid(f"{name} must be lists of numbers, {depth} levels deep.")
    try:
        return np.asarray(values)
    except ValueError as error:
        raise invalid(f"{name} must be nested lists of equal lengths. {error}") from error


def _rows(outputs: Mapping[str, np.ndarray]) -> str:
    names, rows = list(outputs), zip(*outputs.values(), strict=True)
    if len(names) == 1:
        return _list(value.tolist() for (value,) in rows)
    return _list({name: value.tolist() for name, value in zip(names, row, strict=True)} for row in rows)


def _columns(outputs: Mapping[str, np.ndarray]) -> str:
    columns = {name: _list(value.tolist() for value in values) for name, values in outputs.items()}
    if len(columns) == 1:
        return next(iter(columns.values()))
    return f"{{{', '.join(f'{json.dumps(name)}: {column}' for name, column in columns.items())}}}"


def _list(items: Iterable[Any]) -> str:
    """Returns the JSON text of a list; each item is encoded alone, because encoding blocks all other threads."""
    return f"[{', '.join(map(json.dumps, items))}]"
