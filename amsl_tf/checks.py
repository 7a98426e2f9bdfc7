"""Checks of single settings, with one wording."""

import math
from numbers import Integral, Real
from typing import Any, get_args

from amsl_tf.errors import AMSLError


def check_choice(name: str, value: Any, choices: Any) -> None:
    """Refuses what is none of the values of a Literal."""
    if value not in get_args(choices):
        raise AMSLError(f"{name} must be one of {', '.join(get_args(choices))}. Received: {value!r}.")


def check_flag(name: str, value: Any) -> None:
    """Refuses what is not True or False."""
    if not isinstance(value, bool):
        raise AMSLError(f"{name} must be True or False. Received: {value!r}.")


def settle_count(config: Any, name: str, minimum: int = 1) -> None:
    """Makes a setting an int of at least `minimum`, from any integer type."""
    value = getattr(config, name)
    if isinstance(value, bool) or not isinstance(value, Integral) or value < minimum:
        raise AMSLError(f"{name} must be an integer of at least {minimum}. Received: {value!r}.")
    object.__setattr__(config, name, int(value))


def settle_number(config: Any, name: str, minimum: float, maximum: float = math.inf, above: bool = False) -> None:
    """Makes a setting a float, `minimum <= value < maximum`, or strictly above the minimum where asked, from any real type."""
    value = getattr(config, name)
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not is_number or not minimum <= value < maximum or (above and value == minimum):
        limits = f"{'above' if above else 'at least'} {minimum:g}" + (f" and below {maximum:g}" if maximum < math.inf else "")
        raise AMSLError(f"{name} must be a number {limits}. Received: {value!r}.")
    object.__setattr__(config, name, float(value))
