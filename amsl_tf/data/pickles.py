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
            return _Unpickler(opened, encoding="latin1").load()  # the encoding of arrays of Python 2
    except Exception as error:  # a damaged pickle raises exceptions of any type
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{file}: expected a pickle of NumPy arrays ({reason}). {advice}") from error


class _Unpickler(pickle._Unpickler):  # its memo is a dict, that in C an array of any size
    def find_class(self, module: str, name: str) -> Any:
        """Returns one of the few things that arrays need; raises UnpicklingError for any other.

        These are bound methods, whose attributes a pickle cannot set.
        """
        allowed = {
            ("numpy", "ndarray"): _ARRAY,
            ("numpy", "dtype"): self._make_dtype,
            ("numpy._core.multiarray", "_reconstruct"): self._make_array,
            ("numpy._core.multiarray", "scalar"): self._make_scalar,
            ("numpy._core.numeric", "_frombuffer"): self._make_from_buffer,
            ("_codecs", "encode"): self._encode,
            ("__builtin__", "bytes"): self._make_empty_bytes,
            ("builtins", "bytes"): self._make_empty_bytes,
        }
        key = (module.replace("numpy.core.", "numpy._core."), name)
        if key not in allowed:
            raise pickle.UnpicklingError(f"it needs {module}.{name}, which is not allowed")
        return allowed[key]

    def _make_dtype(self, name: str, align: bool = False, copy: bool = False) -> "_DType":
        return _DType(name)

    def _make_array(self, kind: Any, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        """Creates the empty array whose state follows in the pickle; a pickle could ask for any size."""
        if kind is not _ARRAY or shape != (0,):
            raise pickle.UnpicklingError(f"it needs an array of shape {shape}, which is not allowed")
        return np.ndarray.__new__(_Array, shape, np.int8)

    def _make_scalar(self, dtype: "_DType", content: bytes | str) -> Any:
        return np.frombuffer(content.encode("latin1") if isinstance(content, str) else content, dtype.value, 1)[0]

    def _make_from_buffer(self, buffer: bytes, dtype: "_DType", shape: tuple[int, ...], order: Any) -> np.ndarray:
        return np.frombuffer(buffer, dtype.value).reshape(shape, order=order)

    def _encode(self, text: str, encoding: str) -> bytes:
        """Converts the text that old protocols hold in place of bytes."""
        if encoding != "latin1":
            raise pickle.UnpicklingError(f"it needs the encoding {encoding}, which is not allowed")
        return text.encode(encoding)

    def _make_empty_bytes(self) -> bytes:
        """Returns the empty bytes, for which old protocols call the type; it would take a length, too."""
        return b""


class _DType:
    """A dtype in a pickle. Those of NumPy accept any state, which could turn bytes into pointers."""

    def __init__(self, name: str) -> None:
        self.value = np.dtype(name)
        if self.value.kind not in KINDS or not self.value.itemsize:  # items without a size could be any number
            raise pickle.UnpicklingError(f"it needs arrays of {self.value}, which is not allowed")

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.value = self.value.newbyteorder(state[1])


class _Array(np.ndarray):
    def __setstate__(self, state: tuple[Any, ...]) -> None:
        version, shape, dtype, is_fortran, content = state
        dtype = getattr(dtype, "value", dtype)  # not a `_DType` if the array is pickled again, for another process
        super().__setstate__((version, shape, dtype, is_fortran, content))


_ARRAY = object()  # stands for the type of arrays
