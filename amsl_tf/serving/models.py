"""The versions of an exported model: loaded as they appear, replaced without interruption, and run."""

import logging
import threading
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from grpc import StatusCode
from tensorflow.core.protobuf.meta_graph_pb2 import SignatureDef
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel
from tensorflow_serving.apis.get_model_status_pb2 import ModelVersionStatus
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

from amsl_tf.errors import AMSLError
from amsl_tf.export.layout import DEFAULT, WARMUP, versions
from amsl_tf.serving.status import ServingError, invalid

log = logging.getLogger(__name__)

FileState = frozenset[tuple[str, int, int]]


@dataclass(frozen=True)
class Version:
    """A loaded version of a model.

    Attributes:
        number: The number of its folder.
        file_state: The state of its files, which differs between versions of the same number.
        definitions: The signatures of the SavedModel by name.
        loaded: The SavedModel, whose functions run the signatures.
    """

    number: int
    file_state: FileState
    definitions: Mapping[str, SignatureDef]
    loaded: Any

    def signature(self, name: str) -> SignatureDef:
        """Returns a signature by name, the default one if the name is empty. Raises ServingError if there is none."""
        name = name or DEFAULT
        if name not in self.loaded.signatures:  # definitions also hold signatures that cannot be requested
            raise ServingError(StatusCode.FAILED_PRECONDITION, f'Serving signature key "{name}" not found.')
        return self.definitions[name]

    def predict(
        self, signature: str, inputs: Mapping[str, np.ndarray], output_names: Collection[str] = ()
    ) -> dict[str, np.ndarray]:
        """Runs a signature.

        Args:
            signature: The name of the signature; the default one if empty.
            inputs: The inputs by name, exactly those of the signature.
            output_names: The names of the outputs to return; all if empty.

        Returns:
            The outputs by name.

        Raises:
            ServingError: The signature does not exist, or inputs or outputs do not match it.
        """
        definition = self.signature(signature)
        for name, array in inputs.items():
            check_shape(name, array.shape, definition)
        missing = set(definition.inputs) - set(inputs)
        if missing:
            raise invalid(f"input size does not match signature. Missing but required: {{{','.join(sorted(missing))}}}.")
        names = [*output_names] or sorted(definition.outputs)
        for name in names:
            if name not in definition.outputs:
                expected = ",".join(sorted(definition.outputs))
                raise invalid(
                    f"output tensor alias not found in signature: {name} Outputs expected to be in the set {{{expected}}}."
                )
        try:
            types = {name: tf.dtypes.as_dtype(definition.inputs[name].dtype).as_numpy_dtype for name in inputs}
            with np.errstate(over="ignore"):  # overflow becomes infinite, and the window invalid
                tensors = {name: tf.constant(array.astype(types[name], copy=False)) for name, array in inputs.items()}
            outputs = self.loaded.signatures[signature or DEFAULT](**tensors)
        except tf.errors.InvalidArgumentError as error:
            raise invalid(str(error)) from error
        return {name: outputs[name].numpy() for name in names}


def check_shape(name: str, shape: Sequence[int], definition: SignatureDef) -> None:
    """Checks the shape of an input of a signature.

    Args:
        name: The name of the input.
        shape: The shape of its values.
        definition: The signature.

    Raises:
        ServingError: The signature has no input of this name and shape.
    """
    if name not in definition.inputs:
        raise invalid(
            f"input tensor alias not found in signature: {name}. Inputs expected to be in the set "
            f"{{{','.join(sorted(definition.inputs))}}}."
        )
    expected = tuple(dimension.size for dimension in definition.inputs[name].tensor_shape.dim)
    if len(shape) != len(expected) or any(size not in (-1, given) for size, given in zip(expected, shape, strict=True)):
        raise invalid(f"{name} must have shape {expected}, where -1 is any number. Received: shape {tuple(shape)}.")


class Model:
    """A model whose newest versions are served from the folder of its versions.

    Args:
        name: The name of the model in requests.
        folder: The folder with numbered folders, each with a SavedModel.
        keep: The number of newest versions that are served.

    Raises:
        AMSLError: No version can be loaded.
    """

    def __init__(self, name: str, folder: Path, keep: int = 1) -> None:
        self.name = name
        self._folder, self._keep = folder, keep
        self._served: dict[int, Version] = {}
        self._states: dict[int, ModelVersionStatus] = {}
        self._failed: dict[int, FileState] = {}
        self._stop = threading.Event()
        self._watcher: threading.Thread | None = None
        try:
            self.refresh()
        except OSError as error:
            raise AMSLError(f"{folder}: {error.strerror}. Export a detector first (amsl export).") from error
        if not self._served:
            messages = [state.status.error_message for state in self._states.values()]
            message = messages[0] if messages else "holds no version of a model"
            raise AMSLError(f"{folder}: {message}. Export a detector first (amsl export).")

    def version(self, number: int | None = None) -> Version:
        """Returns a served version, the newest if the number is None. Raises ServingError if it is not served."""
        served = self._served  # replaced as a whole, never modified
        number = max(served) if number is None else number
        if number not in served:
            raise ServingError(StatusCode.NOT_FOUND, f"Servable not found for request: Specific({self.name}, {number})")
        return served[number]

    def states(self, number: int | None = None) -> list[ModelVersionStatus]:
        """Returns the states of all versions seen so far, the newest first, or of one. Raises ServingError if it is unknown."""
        states = dict(self._states)
        if number is not None and number not in states:
            raise ServingError(StatusCode.NOT_FOUND, f"Could not find version {number} of model {self.name}")
        return [states[key] for key in sorted(states, reverse=True) if number in (None, key)]

    def refresh(self) -> None:
        """Loads new versions from the folder if they are among the newest, then unloads older and removed versions.

        A request that runs on a version keeps it until it is answered. If the folder holds no version that can be loaded, the
        served versions stay. A version that could not be loaded is tried again when its files change.
        """
        files = {number: _file_state(folder) for number, folder in versions(self._folder).items()}
        self._failed = {number: state for number, state in self._failed.items() if files.get(number) == state}
        served = {number: version for number, version in self._served.items() if files.get(number) == version.file_state}
        while True:
            newest = [number for number in files if number not in self._failed][-self._keep :]
            new = [number for number in newest if number not in served]
            if not new:
                break
            number = new[-1]
            self._set_state(number, ModelVersionStatus.LOADING)
            try:
                served[number] = _load(versions(self._folder)[number], number, files[number])
            except Exception as error:  # any fault of a version must leave the served ones alone
                log.error(f"version {number} of {self.name} cannot be loaded: {error}")
                self._failed[number] = files[number]
                self._set_state(number, ModelVersionStatus.END, str(error))
        unloaded = set(self._served) - set(newest) if newest else set()
        if newest:
            self._served = {number: served[number] for number in newest}
        for number in self._served:
            self._set_state(number, ModelVersionStatus.AVAILABLE)
        for number in unloaded:
            self._set_state(number, ModelVersionStatus.END)

    def watch(self, seconds: float) -> None:
        """Calls `refresh` in a thread until `close`.

        Args:
            seconds: The time between two calls, in seconds.
        """

        def poll() -> None:
            while not self._stop.wait(seconds):
                try:
                    self.refresh()
                except Exception as error:  # such as a folder that is unreachable for now
                    log.error(f"{self._folder}: {error}")

        self._watcher = threading.Thread(target=poll, name="watch", daemon=True)
        self._watcher.start()

    def close(self) -> None:
        """Ends `watch`, after a version that is being loaded."""
        self._stop.set()
        if self._watcher is not None:
            self._watcher.join()

    def _set_state(self, number: int, state: int, message: str = "") -> None:
        status = ModelVersionStatus(version=number, state=state)
        status.status.SetInParent()  # TF Serving sends OK if there is no error
        if message:
            status.status.error_code, status.status.error_message = StatusCode.UNKNOWN.value[0], message
        self._states = {**self._states, number: status}


def _file_state(folder: Path) -> FileState:
    """Returns names, modification times and sizes of the files of a version: any change makes it another version."""
    found = set()
    for file in folder.rglob("*"):
        with suppress(OSError):  # removed in the meantime
            info = file.lstat()
            found.add((str(file.relative_to(folder)), info.st_mtime_ns, info.st_size))
    return frozenset(found)


def _load(folder: Path, number: int, file_state: FileState) -> Version:
    """Loads a version and runs its warm-up requests."""
    graphs = SavedModel.FromString((folder / "saved_model.pb").read_bytes()).meta_graphs
    loaded = tf.saved_model.load(str(folder))
    if DEFAULT not in loaded.signatures:
        raise ValueError(f"there is no signature {DEFAULT}")
    version = Version(number, file_state, dict(graphs[0].signature_def), loaded)
    if (folder / WARMUP).exists():
        for record in tf.data.TFRecordDataset(str(folder / WARMUP)):
            request = PredictionLog.FromString(record.numpy()).predict_log.request
            inputs = {name: tf.make_ndarray(value) for name, value in request.inputs.items()}
            version.predict(request.model_spec.signature_name, inputs)
    return version
