"""Computation in float32 or more where mixed precision would lose too many digits."""

from typing import Any

import keras
from keras import ops


def upcast_dtype(dtype: Any) -> str:
    """Returns float32, or float64 for a dtype of float64."""
    return keras.backend.result_type(dtype, "float32")


def upcast(values: Any) -> Any:
    """Casts values to `upcast_dtype` of their dtype."""
    return ops.cast(values, upcast_dtype(values.dtype))
