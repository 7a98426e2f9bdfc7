"""The recordings of a job, and their division into blocks."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from amsl_tf.data.locations import Location, find_locations, local_copy
from amsl_tf.data.recording_files import RecordingFile
from amsl_tf.data.recordings import Recordings
from amsl_tf.data.source import Source
from amsl_tf.errors import AMSLError

BLOCK_BYTES = 64 * 2**20  # of the recordings of a block: what is done again if its worker stops
BLOCK_ITEMS = 16  # recordings of a block, at most
WORKER_BLOCKS = 4  # of each worker, at least


Key = tuple[str, int, int]  # of a recording, see `Item.key`


class Message(NamedTuple):
    """What was logged about a recording: its level, the name of the recording, and the text without the name."""

    level: int
    name: str
    text: str


@dataclass(frozen=True)
class Item:
    """A recording of a job, which any worker can open.

    Attributes:
        number: Its position among all recordings.
        place: Where it is, or the recording itself.
    """

    number: int
    place: Location | Source

    @property
    def name(self) -> str:
        """The name of the recording, as a command on one machine has it."""
        return self.place.name

    @property
    def size(self) -> int:
        """The bytes of its file; 0 if it is not known."""
        return self.place.size if isinstance(self.place, Location) else 0

    @property
    def key(self) -> Key:
        """What tells whether it is the same recording in another run: its name, size, and time of change or number."""
        return self.name, self.size, self.place.changed if isinstance(self.place, Location) else self.number

    @contextmanager
    def opened(self, open_recording: Callable[[Any], Source], messages: list[Message]) -> Iterator[Source]:
        """Opens the recording, from a copy on this machine if it is at a URL.

        Args:
            open_recording: Opens a path or a recording.
            messages: A list to which what is logged meanwhile is added.

        Raises:
            AMSLError: As `open_recording` or the block; the error names the recording as the job does.
        """
        if not isinstance(self.place, Location):
            with _captured(messages, self.name, self.name):
                yield open_recording(self.place)
            return
        with local_copy(self.place) as path, _captured(messages, self.name, str(path)):
            try:
                source = open_recording(path)
                if isinstance(source, RecordingFile):
                    source.name = self.name
                yield source
            except AMSLError as error:
                raise type(error)(str(error).replace(str(path), self.name)) from error


def list_items(recordings: Any, open_recordings: Callable[[Any], Recordings]) -> tuple[list[Item], int]:
    """Lists the recordings of a job, files without opening them.

    Args:
        recordings: Paths and URLs that `find_locations` accepts, or anything else that `Recordings.of` accepts, which is sent
            to the workers.
        open_recordings: Opens the latter, and may leave some out.

    Returns:
        The recordings, and the number of those that were given.

    Raises:
        AMSLError: Something is not found, or there is none.
    """
    given = recordings if isinstance(recordings, list | tuple) else [recordings]
    if all(isinstance(item, str | Path) for item in given):
        items = [Item(number, place) for number, place in enumerate(find_locations(given))]
        return items, len(items)
    opened = open_recordings(recordings)
    return [Item(number, source) for number, source in zip(opened.positions, opened, strict=True)], opened.given


def make_blocks(items: Sequence[Item], workers: int) -> list[list[Item]]:
    """Divides recordings into blocks of consecutive ones.

    A block has up to `BLOCK_BYTES` and `BLOCK_ITEMS`, but at least one recording. Each worker has `WORKER_BLOCKS` or more, as
    far as there are recordings, so that all have work until the end.
    """
    most = min(BLOCK_ITEMS, max(1, len(items) // (WORKER_BLOCKS * workers)))
    blocks: list[list[Item]] = []
    for item in items:
        last = blocks[-1] if blocks else []
        if not last or len(last) == most or sum(own.size for own in last) + item.size > BLOCK_BYTES:
            blocks.append([item])
        else:
            last.append(item)
    return blocks


@contextmanager
def _captured(messages: list[Message], name: str, place: str) -> Iterator[None]:
    """Adds what the package logs in the block about a recording, which may also be called by its place, to a list."""
    logger, handler = logging.getLogger("amsl_tf"), _Capture(messages, name, place)
    level, propagates = logger.level, logger.propagate
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagates
        logger.setLevel(level)


class _Capture(logging.Handler):
    def __init__(self, messages: list[Message], name: str, place: str) -> None:
        super().__init__()
        self._messages, self._name, self._place = messages, name, place

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage().replace(self._place, self._name).removeprefix(f"{self._name}: ")
        self._messages.append(Message(record.levelno, self._name, text))
