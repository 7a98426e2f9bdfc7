"""Recordings that cannot be used, and are left out."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

from amsl_tf.errors import DataError

S = TypeVar("S")
T = TypeVar("T")


class Skipped(NamedTuple):
    """A recording that was left out.

    Attributes:
        position: Its position among all recordings that were given.
        name: Its name, such as the file.
        reason: What is wrong with it.
    """

    position: int
    name: str
    reason: str


def none_usable(count: int, reason: str) -> DataError:
    """Returns the error for recordings none of which can be used; `reason` is that of the first."""
    return DataError(f"none of {count:,} recordings can be used. The first: {reason}")


def use_first(recordings: Sequence[S], use: Callable[[S], T], *, skip_bad: bool) -> T:
    """Returns the result of a function for the first recording; with `skip_bad`, for the first one that can be used.

    Raises:
        DataError: The function raised it for the first recording, or for all.
    """
    first: DataError | None = None
    for recording in recordings:
        try:
            return use(recording)
        except DataError as error:
            if not skip_bad:
                raise
            first = first or error
    raise none_usable(len(recordings), str(first))
