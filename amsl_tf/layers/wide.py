"""The precision of what would lose too many digits in a narrow one."""

from typing import Any

import keras
from keras import ops


def wide_dtype(dtype: Any) -> str:
    """Float32; or float64, where that is what is computed in, and Keras knows it (with TensorFlow)."""
    return keras.backend.result_type(dtype, "float32")


def wide(values: Any) -> Any:
    """Values in the precision of `wide_dtype`."""
    return ops.cast(values, wide_dtype(values.dtype))
