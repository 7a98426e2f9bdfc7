"""The conversion of the cells of a column to numbers or labels."""

import reprlib

import numpy as np
import pandas as pd

from amsl_tf.data.conversion import parse_number, to_float
from amsl_tf.data.time_column import is_time, resembles_time
from amsl_tf.errors import DataError

_LABELS = {"0": 0, "0.0": 0, "false": 0, "1": 1, "1.0": 1, "true": 1}


def convert_numbers(column: pd.Series, place: str, start: int, decimal: str, advice: str) -> np.ndarray:
    """Converts a channel.

    Args:
        column: Numbers, (n,).
        place: The recording, for messages.
        start: The row of the first number.
        decimal: The decimal separator of numbers that are text, in a CSV; "" if they must not be text.
        advice: What to do if a cell is not a number, for the error message.

    Returns:
        float64 (n,); NaN for missing values.

    Raises:
        DataError: A cell is not a number.
    """
    if column.dtype.kind in "fiu":  # those with missing values of pandas included
        return column.to_numpy(np.float64, na_value=np.nan)
    cells = column.to_numpy(object)
    values, invalid = to_float(cells)
    if decimal and invalid.any():  # one cell of text or beyond 64 bits makes the whole column text
        numbers = [_parse(str(cell), decimal) for cell in cells[invalid]]
        values[invalid] = np.array(numbers, np.float64)
        invalid[invalid] = [number is None for number in numbers]
    if not invalid.any():
        return values
    row = int(invalid.argmax())
    fault = f"{place}: column {column.name}, row {start + row} (from 0): expected a number, found {reprlib.repr(cells[row])}"
    cell = str(cells[row])
    if column.dtype.kind == "M" or is_time(str(column.name)) or resembles_time(cell):
        fault += ". The column looks like a time, not a channel: name it with --time or --drop"
    elif decimal and _parse(cell, "," if decimal == "." else ".") is not None:
        fault += ". Name the decimal separator with --decimal, or the columns that are channels with --columns"
    else:
        fault += f". {advice}"
    raise DataError(f"{fault}.")


def convert_labels(column: pd.Series, is_blank: np.ndarray, place: str, start: int) -> np.ndarray:
    """Converts labels.

    Args:
        column: The labels, (n,): 0 or 1, also as bool or text.
        is_blank: bool (n,), whether all channels of a row are missing, so that its label may be missing, too. It becomes 0.
        place: The recording, for messages.
        start: The row of the first label.

    Returns:
        int8 (n,).

    Raises:
        DataError: A label is something else.
    """
    labels = column.map(str).astype(str).str.strip().str.lower().map(_LABELS)
    unknown = labels.isna().to_numpy() & ~(is_blank & column.isna().to_numpy())
    if unknown.any():
        row = int(unknown.argmax())
        found = reprlib.repr(column.to_numpy(object)[row])
        place = f"{place}: column {column.name}, row {start + row} (from 0)"
        raise DataError(f"{place}: expected a label, 0 or 1, found {found}. Correct it, or leave the column out with --drop.")
    return labels.fillna(0).to_numpy(np.int8)


def _parse(cell: str, decimal: str) -> float | None:
    if decimal == ",":
        cell = "text" if "." in cell else cell.replace(",", ".")
    return parse_number(cell)
