"""Messages on how recordings are read, which are not logged again for each of many files."""

import logging
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

log = logging.getLogger(__name__)

SHOWN_NAMES, SHOWN_LETTERS = 8, 40  # in a message

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


def list_names(names: Collection[str]) -> str:
    """Lists the first names, each up to a length, and how many there are if these are not all."""
    shown = [name if len(name) <= SHOWN_LETTERS else f"{name[:SHOWN_LETTERS]}..." for name in [*names][:SHOWN_NAMES]]
    return ", ".join(shown) + (f", ... ({len(names):,} in all)" if len(names) > SHOWN_NAMES else "")
