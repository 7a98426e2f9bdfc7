"""Validation of single settings, with one wording."""

import math
import reprlib
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import field
from numbers import Integral, Real
from typing import Any

from amsl_tf.errors import AMSLError

MAX_SEED = 2**31
MAX_COUNT = 2**31 - 1  # of TensorFlow's sizes


def setting(default: Any, text: str, *, is_size: bool = False) -> Any:
    """Creates a dataclass field that is also an option of the command line.

    Args:
        default: The default value.
        text: The help text.
        is_size: Whether presets reduce it; a network must have at least so many weights.

    Returns:
        The field.
    """
    return field(default=default, metadata={"help": text, "is_size": is_size})


def check_choice(name: str, value: Any, choices: Iterable[str]) -> None:
    """Raises AMSLError if a value is not one of the choices."""
    choices = tuple(choices)
    if value not in choices:
        raise AMSLError(f"{name} must be one of {', '.join(choices)}. Received: {value!r}.")


def check_flag(name: str, value: Any) -> None:
    """Raises AMSLError if a value is not a bool."""
    if not isinstance(value, bool):
        raise AMSLError(f"{name} must be True or False. Received: {value!r}.")


def check_seed(seed: Any) -> int:
    """Returns a seed as an int, 0 or more and below 2**31. Raises AMSLError for any other value."""
    if isinstance(seed, bool) or not isinstance(seed, Integral) or not 0 <= int(seed) < MAX_SEED:
        raise AMSLError(f"seed must be an integer of at least 0 and below 2**31. Received: {seed!r}.")
    return int(seed)


def check_number(name: str, value: Any, low: float, high: float) -> float:
    """Returns a number as a float. Raises AMSLError if it is not one from `low` to `high`."""
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not is_number or not low <= value <= high:
        raise AMSLError(f"{name} must be a number from {low:.6g} to {high:.6g}. Received: {value!r}.")
    return float(value)


def check_count(name: str, value: Any, low: int, high: int) -> int:
    """Returns an integer as an int. Raises AMSLError if it is not one from `low` to `high`."""
    if isinstance(value, bool) or not isinstance(value, Integral) or not low <= int(value) <= high:
        raise AMSLError(f"{name} must be an integer from {low} to {high}. Received: {value!r}.")
    return int(value)


def convert_count(config: Any, name: str, minimum: int = 1) -> None:
    """Converts an attribute of any integer type to an int.

    Raises AMSLError if it is not an integer, below `minimum` or above `MAX_COUNT`.
    """
    value = getattr(config, name)
    if isinstance(value, bool) or not isinstance(value, Integral) or int(value) < minimum:
        raise AMSLError(f"{name} must be an integer of at least {minimum}. Received: {value!r}.")
    if int(value) > MAX_COUNT:
        raise AMSLError(f"{name} must be below 2**31. Received: {value!r}.")
    object.__setattr__(config, name, int(value))


def convert_number(config: Any, name: str, minimum: float, maximum: float = math.inf, exclusive: bool = False) -> None:
    """Converts an attribute of any real type to a float.

    Args:
        config: An object, possibly a frozen dataclass.
        name: The attribute.
        minimum: The smallest value allowed; not allowed itself if `exclusive`.
        maximum: Values must be below it.
        exclusive: Whether values must be above the minimum.

    Raises:
        AMSLError: The value is out of range or not a number.
    """
    value = getattr(config, name)
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not is_number or not minimum <= value < maximum or (exclusive and value == minimum):
        limits = f"{'above' if exclusive else 'at least'} {minimum:g}" + (
            f" and below {maximum:g}" if maximum < math.inf else ""
        )
        raise AMSLError(f"{name} must be a number {limits}. Received: {value!r}.")
    object.__setattr__(config, name, float(value))


def convert_names(config: Any, name: str) -> None:
    """Converts an attribute to a tuple of different names. Raises AMSLError if it is anything else."""
    values = getattr(config, name)
    if not _is_list(values) or not all(isinstance(item, str) and item for item in values):
        raise AMSLError(f"{name} must be a list of names, as in ['x', 'y']. Received: {values!r}.")
    if len(set(values)) < len(tuple(values)):
        raise AMSLError(f"{name} must differ from each other. Received: {values!r}.")
    object.__setattr__(config, name, tuple(values))


def convert_numbers(config: Any, name: str, minimum: float, maximum: float) -> None:
    """Converts an attribute to a tuple of numbers in a range. Raises AMSLError if it is anything else."""
    values = getattr(config, name)
    if not _is_list(values):
        raise AMSLError(f"{name} must be a list of numbers, as in [1, 2]. Received: {values!r}.")
    object.__setattr__(config, name, tuple(check_number(name, value, minimum, maximum) for value in values))


def _is_list(values: Any) -> bool:
    # mappings and sets have no order, and an iterator, kept as a parameter of an estimator, would be empty at the second fit
    return isinstance(values, Iterable) and not isinstance(values, str | Mapping | Set | Iterator)


def convert_json(config: Any, name: str) -> None:
    """Converts an attribute to a value that is equal after a round trip through JSON, with tuples for lists.

    Raises AMSLError if it holds anything but finite numbers, text, bools, None, and lists and dicts of these.
    """
    object.__setattr__(config, name, _to_json(name, getattr(config, name)))


def _to_json(name: str, value: Any) -> Any:
    if getattr(value, "shape", None) == () and hasattr(value, "item"):  # a scalar of NumPy, which is not imported for this
        value = value.item()
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real) and math.isfinite(value):
        return float(value)
    if isinstance(value, list | tuple):
        return tuple(_to_json(name, item) for item in value)
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: _to_json(name, item) for key, item in value.items()}
    received = " ".join(f"{reprlib.repr(value)} of type {type(value).__name__}".split())
    raise AMSLError(f"{name} must be finite numbers, text, bools or None, or lists or dicts of these. Received: {received}.")
