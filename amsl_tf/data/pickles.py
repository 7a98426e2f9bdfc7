"""Reads NumPy arrays from untrusted pickles without executing code."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np

from amsl_tf.data.files import check_regular
from amsl_tf.errors import DataError

KINDS = "biufMSU"  # of dtypes; objects could be anything


def read_pickle(file: Path, advice: str) -> Any:
    """Reads a pickle of NumPy arrays, numbers, text, and lists, tuples, sets and dicts of these, including pickles of Python 2.

    Args:
        file: The file.
        advice: The advice to the user if it is missing or cannot be read, for the error message.

    Returns:
        The object.

    Raises:
        DataError: The file is missing or damaged, or it holds anything else. No code in it is executed.

    Reference:
        "Restricting Globals" in the documentation of the module pickle.
    """
    check_regular(file, advice)
    try:
        with file.open("rb") as opened:
            return _Unpickler(opened, encoding="latin1").load()  # that of arrays of Python 2
    except Exception as error:  # a damaged pickle raises exceptions of any type
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{file}: expected a pickle of NumPy arrays ({reason}). {advice}") from error


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """Returns one of the few things that arrays need; raises UnpicklingError for any other."""
        allowed = _ALLOWED.get((module.replace("numpy.core.", "numpy._core."), name))
        if allowed is None:
            raise pickle.UnpicklingError(f"it needs {module}.{name}, which is not allowed")
        return allowed


class _DType:
    """A dtype in a pickle. Those of NumPy accept any state, which could turn bytes into pointers."""

    def __init__(self, name: str, align: bool = False, copy: bool = False) -> None:
        self.value = np.dtype(name)
        if self.value.kind not in KINDS:
            raise pickle.UnpicklingError(f"it needs arrays of {self.value}, which is not allowed")

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.value = self.value.newbyteorder(state[1])


class _Array(np.ndarray):
    def __setstate__(self, state: tuple[Any, ...]) -> None:
        version, shape, dtype, is_fortran, content = state
        dtype = getattr(dtype, "value", dtype)  # not a `_DType` if the array is pickled again, for another process
        super().__setstate__((version, shape, dtype, is_fortran, content))


def _new_array(kind: Any, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Creates the empty array whose state follows in the pickle; a pickle could ask for any size."""
    if kind is not _ARRAY or shape != (0,):
        raise pickle.UnpicklingError(f"it needs an array of shape {shape}, which is not allowed")
    return np.ndarray.__new__(_Array, shape, np.int8)


def _encode(text: str, encoding: str) -> bytes:
    """Converts the text that old protocols hold in place of bytes."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"it needs the encoding {encoding}, which is not allowed")
    return text.encode(encoding)


def _no_bytes() -> bytes:
    """Returns the empty bytes, for which old protocols call the type; it would take a length, too."""
    return b""


def _from_buffer(buffer: bytes, dtype: _DType, shape: tuple[int, ...], order: Any) -> np.ndarray:
    return np.frombuffer(buffer, dtype.value).reshape(shape, order=order)


def _scalar(dtype: _DType, content: bytes | str) -> Any:
    return np.frombuffer(content.encode("latin1") if isinstance(content, str) else content, dtype.value, 1)[0]


_ARRAY = object()
_ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): _ARRAY,
    ("numpy", "dtype"): _DType,
    ("numpy._core.multiarray", "_reconstruct"): _new_array,
    ("numpy._core.multiarray", "scalar"): _scalar,
    ("numpy._core.numeric", "_frombuffer"): _from_buffer,
    ("_codecs", "encode"): _encode,
    ("__builtin__", "bytes"): _no_bytes,
    ("builtins", "bytes"): _no_bytes,
}
