"""Files with the weights of a network, as Keras' `save_weights` writes them."""

import math
import tempfile
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np

from amsl_tf.data.files import reserve_space
from amsl_tf.errors import StorageError

Shapes = dict[str, tuple[int, ...]]
OVERHEAD = 2**20  # bytes of a file beside the values, at most


def write_weights(network: keras.Model, file: Path) -> None:
    """Writes the weights of a network.

    Args:
        network: The network.
        file: A file that ends in .weights.h5.

    Raises:
        OSError: The file cannot be written.
    """
    size = sum(math.prod(variable.shape) * (8 if variable.dtype == "float64" else 4) for variable in network.variables)
    reserve_space(file.parent, size + OVERHEAD)
    network.save_weights(file)


def read_weights(network: keras.Model, file: Path) -> None:
    """Reads the weights of a network.

    Args:
        network: The network, whose weights are replaced.
        file: A file that `write_weights` or Keras has written.

    Raises:
        ValueError: The file is broken, holds the weights of another network, or values that are not finite.
        StorageError: There is no space for temporary files.
    """
    found, expected = stored_shapes(file), _own_shapes(network)
    for name in sorted(found.keys() | expected.keys()):  # Keras ignores superfluous arrays
        if found.get(name) != expected.get(name):
            raise ValueError(f"{name}: expected {expected.get(name, 'nothing')}, found {found.get(name, 'nothing')}")
    try:
        network.load_weights(file)
    except (OSError, KeyError, RuntimeError) as error:
        raise ValueError(str(error)) from error
    for variable in network.weights:
        if not np.isfinite(keras.ops.convert_to_numpy(variable)).all():
            raise ValueError(f"{variable.path}: a weight is not a finite number")


def stored_shapes(file: Path) -> Shapes:
    """Returns the shapes of the arrays in a file of weights, by name. Raises ValueError for a broken file."""
    shapes: Shapes = {}

    def note(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            if item.external or item.is_virtual:
                raise ValueError(f"{name}: its values are in another file")
            if math.prod(item.shape) * item.dtype.itemsize > item.id.get_storage_size():
                raise ValueError(f"{name}: the file holds less than the shape {item.shape}")
            shapes[name] = item.shape

    try:
        with h5py.File(file) as stored:
            stored.visititems(note)
    except (OSError, KeyError, RuntimeError) as error:
        raise ValueError(str(error)) from error
    return shapes


def _own_shapes(network: keras.Model) -> Shapes:
    """Returns the shapes of the arrays in a file of weights of the network, by name."""
    try:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "own.weights.h5"
            write_weights(network, file)
            return stored_shapes(file)
    except OSError as error:
        advice = "Set TMPDIR to a folder with free space."
        raise StorageError(f"temporary files cannot be written ({error.strerror or error}). {advice}") from error
