"""A version of an exported model: checked, loaded and run."""

import os
import stat
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from grpc import StatusCode
from tensorflow.core.protobuf.meta_graph_pb2 import SignatureDef
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

from amsl_tf.export.layout import DEFAULT, WARMUP
from amsl_tf.runtime import release_kernels
from amsl_tf.serving.status import ServingError, invalid

FileState = frozenset[tuple[str, bool, int, int]]  # name, whether it may be read, modification time, size


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

    @property
    def window_values(self) -> int:
        """The number of values of a window, T x C; the largest of all signatures."""
        inputs = chain.from_iterable(self.definitions[name].inputs.values() for name in self.loaded.signatures)
        return max(tensor.tensor_shape.dim[1].size * tensor.tensor_shape.dim[2].size for tensor in inputs)

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


def read_state(folder: Path) -> FileState:
    """Returns the state of the files of a version: any change makes it another version."""
    found = set()
    for place, folders, files in os.walk(folder):
        for path in (Path(place, name) for name in folders + files):
            with suppress(OSError):  # removed in the meantime, or a link to nowhere
                info = path.stat()
                may_be_read = stat.S_ISREG(info.st_mode) or stat.S_ISDIR(path.lstat().st_mode)
                found.add((str(path.relative_to(folder)), may_be_read, info.st_mtime_ns, info.st_size))
    return frozenset(found)


def load_version(folder: Path, number: int, file_state: FileState) -> Version:
    """Loads a version and runs its warm-up requests. Raises ValueError before any file is opened if one must not be read."""
    for name, may_be_read, *_ in sorted(file_state):
        if not may_be_read:  # a named pipe or a device would block the watcher, and nothing limits what they hold
            raise ValueError(f"{name} must be a regular file, a link to one, or a folder. Remove it.")
    release_kernels()  # of versions that have been unloaded
    graphs = SavedModel.FromString((folder / "saved_model.pb").read_bytes()).meta_graphs
    loaded = tf.saved_model.load(str(folder))
    if DEFAULT not in loaded.signatures:
        raise ValueError(f"there is no signature {DEFAULT}")
    definitions = dict(graphs[0].signature_def)
    for signature in loaded.signatures:  # limits on requests follow from the shapes
        shapes = [tuple(size.size for size in tensor.tensor_shape.dim) for tensor in definitions[signature].inputs.values()]
        if not shapes or any(len(shape) != 3 or min(shape[1:]) < 1 for shape in shapes):
            raise ValueError(f"{signature}: inputs must have shape (-1, T, C), with T and C known. Received: {shapes}.")
    version = Version(number, file_state, definitions, loaded)
    if (folder / WARMUP).exists():
        for record in tf.data.TFRecordDataset(str(folder / WARMUP)):
            request = PredictionLog.FromString(record.numpy()).predict_log.request
            inputs = {name: tf.make_ndarray(value) for name, value in request.inputs.items()}
            version.predict(request.model_spec.signature_name, inputs)
    return version
