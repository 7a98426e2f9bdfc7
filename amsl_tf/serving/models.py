"""The versions of one exported model: loaded as they appear, swapped without a gap, and run."""

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
from amsl_tf.served import DEFAULT, WARMUP, versions
from amsl_tf.serving.status import ServingError, invalid

log = logging.getLogger(__name__)

Mark = frozenset[tuple[str, int, int]]


@dataclass(frozen=True)
class Version:
    """A version that is loaded.

    Attributes:
        number: Of its folder.
        mark: What tells its files from others of the same number.
        definitions: Signatures by name, as the SavedModel says them.
        loaded: The SavedModel, whose functions run them.
    """

    number: int
    mark: Mark
    definitions: Mapping[str, SignatureDef]
    loaded: Any

    def signature(self, name: str) -> SignatureDef:
        """The signature of a name, the default one if it is empty. Raises ServingError if there is none."""
        name = name or DEFAULT
        if name not in self.loaded.signatures:  # definitions name more than what can be asked for
            raise ServingError(StatusCode.FAILED_PRECONDITION, f'Serving signature key "{name}" not found.')
        return self.definitions[name]

    def predict(self, signature: str, inputs: Mapping[str, np.ndarray], wanted: Collection[str] = ()) -> dict[str, np.ndarray]:
        """Runs a signature.

        Args:
            signature: Its name; the default one if empty.
            inputs: By name; the signature's, no more and no less.
            wanted: Names of outputs; all if empty.

        Raises:
            ServingError: There is no such signature, or inputs or outputs are not what it has.
        """
        definition = self.signature(signature)
        for name, array in inputs.items():
            check_shape(name, array.shape, definition)
        missing = set(definition.inputs) - set(inputs)
        if missing:
            raise invalid(f"input size does not match signature. Missing but required: {{{','.join(sorted(missing))}}}.")
        names = [*wanted] or sorted(definition.outputs)
        for name in names:
            if name not in definition.outputs:
                expected = ",".join(sorted(definition.outputs))
                raise invalid(
                    f"output tensor alias not found in signature: {name} Outputs expected to be in the set {{{expected}}}."
                )
        try:
            types = {name: tf.dtypes.as_dtype(definition.inputs[name].dtype).as_numpy_dtype for name in inputs}
            with np.errstate(over="ignore"):  # what does not fit becomes infinite, and that window not valid
                given = {name: tf.constant(array.astype(types[name], copy=False)) for name, array in inputs.items()}
            made = self.loaded.signatures[signature or DEFAULT](**given)
        except tf.errors.InvalidArgumentError as error:
            raise invalid(str(error)) from error
        return {name: made[name].numpy() for name in names}


def check_shape(name: str, shape: Sequence[int], definition: SignatureDef) -> None:
    """Raises ServingError where an input of this name and shape is not the signature's."""
    if name not in definition.inputs:
        raise invalid(
            f"input tensor alias not found in signature: {name}. Inputs expected to be in the set "
            f"{{{','.join(sorted(definition.inputs))}}}."
        )
    wanted = tuple(dimension.size for dimension in definition.inputs[name].tensor_shape.dim)
    if len(shape) != len(wanted) or any(size not in (-1, given) for size, given in zip(wanted, shape, strict=True)):
        raise invalid(f"{name} must have shape {wanted}, where -1 is any number. Received: shape {tuple(shape)}.")


class Model:
    """One model by the folder of its versions, of which the newest are served.

    Args:
        name: What requests call it.
        folder: With a SavedModel in each of its numbered folders.
        keep: How many of the newest versions are served.

    Raises:
        AMSLError: There is no version that can be loaded.
    """

    def __init__(self, name: str, folder: Path, keep: int = 1) -> None:
        self.name = name
        self._folder, self._keep = folder, keep
        self._served: dict[int, Version] = {}
        self._states: dict[int, ModelVersionStatus] = {}
        self._failed: dict[int, Mark] = {}
        self._stop = threading.Event()
        self._watching: threading.Thread | None = None
        try:
            self.refresh()
        except OSError as error:
            raise AMSLError(f"{folder}: {error.strerror}. Export a detector first (scripts/export.py).") from error
        if not self._served:
            faults = [state.status.error_message for state in self._states.values()]
            fault = faults[0] if faults else "holds no version of a model"
            raise AMSLError(f"{folder}: {fault}. Export a detector first (scripts/export.py).")

    def version(self, number: int | None = None) -> Version:
        """A version that is served, the newest if there is no number. Raises ServingError if there is none."""
        served = self._served  # replaced as a whole, never changed
        number = max(served) if number is None else number
        if number not in served:
            raise ServingError(StatusCode.NOT_FOUND, f"Servable not found for request: Specific({self.name}, {number})")
        return served[number]

    def states(self, number: int | None = None) -> list[ModelVersionStatus]:
        """What has become of every version that was seen, the newest first. Raises ServingError for an unknown number."""
        states = dict(self._states)
        if number is not None and number not in states:
            raise ServingError(StatusCode.NOT_FOUND, f"Could not find version {number} of model {self.name}")
        return [states[key] for key in sorted(states, reverse=True) if number in (None, key)]

    def refresh(self) -> None:
        """Looks at the folder: loads what is new and among the newest, then lets go of what is older or gone.

        A request that runs on a version keeps it until it is answered. Where nothing that can be loaded is left in the folder,
        what is served stays. A version that could not be loaded is tried again when its files change.
        """
        marks = {number: _mark(folder) for number, folder in versions(self._folder).items()}
        self._failed = {number: mark for number, mark in self._failed.items() if marks.get(number) == mark}
        served = {number: version for number, version in self._served.items() if marks.get(number) == version.mark}
        while True:
            wanted = [number for number in marks if number not in self._failed][-self._keep :]
            new = [number for number in wanted if number not in served]
            if not new:
                break
            number = new[-1]
            self._note(number, ModelVersionStatus.LOADING)
            try:
                served[number] = _load(versions(self._folder)[number], number, marks[number])
            except Exception as error:  # whatever is wrong with a version, those that are served must go on
                log.error(f"version {number} of {self.name} cannot be loaded: {error}")
                self._failed[number] = marks[number]
                self._note(number, ModelVersionStatus.END, str(error))
        gone = set(self._served) - set(wanted) if wanted else set()
        if wanted:
            self._served = {number: served[number] for number in wanted}
        for number in self._served:
            self._note(number, ModelVersionStatus.AVAILABLE)
        for number in gone:
            self._note(number, ModelVersionStatus.END)

    def watch(self, seconds: float) -> None:
        """Refreshes from now on every so many seconds, until `close`."""

        def look() -> None:
            while not self._stop.wait(seconds):
                try:
                    self.refresh()
                except Exception as error:  # such as that the folder is away for now; the next look may find it
                    log.error(f"{self._folder}: {error}")

        self._watching = threading.Thread(target=look, name="watch", daemon=True)
        self._watching.start()

    def close(self) -> None:
        """Ends `watch`, when a version that is being loaded is."""
        self._stop.set()
        if self._watching is not None:
            self._watching.join()

    def _note(self, number: int, state: int, message: str = "") -> None:
        status = ModelVersionStatus(version=number, state=state)
        status.status.SetInParent()  # TF Serving says OK where there is no fault
        if message:
            status.status.error_code, status.status.error_message = StatusCode.UNKNOWN.value[0], message
        self._states = {**self._states, number: status}


def _mark(folder: Path) -> Mark:
    """Names, times and sizes of a version's files: other files, or more of them, are another version."""
    found = set()
    for file in folder.rglob("*"):
        with suppress(OSError):  # it has just vanished
            about = file.lstat()
            found.add((str(file.relative_to(folder)), about.st_mtime_ns, about.st_size))
    return frozenset(found)


def _load(folder: Path, number: int, mark: Mark) -> Version:
    """Loads a version and runs its warm-up requests."""
    graphs = SavedModel.FromString((folder / "saved_model.pb").read_bytes()).meta_graphs
    loaded = tf.saved_model.load(str(folder))
    if DEFAULT not in loaded.signatures:
        raise ValueError(f"there is no signature {DEFAULT}")
    version = Version(number, mark, dict(graphs[0].signature_def), loaded)
    if (folder / WARMUP).exists():
        for record in tf.data.TFRecordDataset(str(folder / WARMUP)):
            request = PredictionLog.FromString(record.numpy()).predict_log.request
            inputs = {name: tf.make_ndarray(value) for name, value in request.inputs.items()}
            version.predict(request.model_spec.signature_name, inputs)
    return version
