"""Log messages on how recordings are read, which are not repeated for each of many files."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

log = logging.getLogger(__name__)

_known: ContextVar[set[str] | None] = ContextVar("known", default=None)


def note(place: str, text: str, level: int = logging.INFO) -> None:
    """Logs a message about a recording; within `without_repeats` only if no other recording had the same one."""
    known = _known.get()
    if known is None or text not in known:
        log.log(level, f"{place}: {text}")
    if known is not None:
        known.add(text)


@contextmanager
def without_repeats() -> Iterator[None]:
    """Lets `note` log each message once for several recordings."""
    token = _known.set(set())
    try:
        yield
    finally:
        _known.reset(token)
