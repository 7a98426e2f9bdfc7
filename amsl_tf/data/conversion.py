"""The conversion of Python objects and of text to numbers."""

import math
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd


def to_float(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Converts objects to numbers: real ones of any type but bool, which is no measurement; None and `pandas.NA` are NaN.

    Args:
        values: An array of objects of any shape.

    Returns:
        float64, rounded correctly, and bool, whether an object is not a number: arrays of the shape of `values`.
    """
    numbers = [_number(value) for value in values.flat]
    invalid = np.array([number is None for number in numbers], bool)
    return np.array(numbers, np.float64).reshape(values.shape), invalid.reshape(values.shape)


def parse_number(cell: str) -> float | None:
    """Parses the number in a cell of a text file, NaN if it is empty; returns None if it is text."""
    try:
        return None if "_" in cell else float(cell.strip() or "nan")  # Python ignores _ between digits
    except ValueError:
        return None


def _number(value: Any) -> float | None:
    if value is None or value is pd.NA:
        return math.nan
    is_number = isinstance(value, Real | Decimal) and not isinstance(value, bool | np.bool_)
    if not is_number:
        return None
    try:
        return float(value)
    except OverflowError:  # an integer or a fraction
        return math.inf if value > 0 else -math.inf
    except ValueError:  # a signalling NaN
        return math.nan
