"""The finished parts of a scoring job: files from which the tables are written, and an interrupted job resumes."""

import json
import logging
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from amsl_tf.data.files import atomic_file
from amsl_tf.scale.items import Key
from amsl_tf.scoring.events import Event
from amsl_tf.scoring.recording_table import RecordingTable

log = logging.getLogger(__name__)

PARTS = "part-*.npz"  # names of the files
_ABOUT = "recordings"  # the name of the array with everything but the columns
_COUNTS = ("windows", "flagged", "incomplete")


class Parts:
    """A folder with a file for the tables of each finished block.

    Args:
        folder: The folder, which exists. Files in it that are damaged are removed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[Key, Path] = {}
        self._about: dict[Key, Any] = {}
        for file in sorted(folder.glob(PARTS)):
            try:
                with np.load(file, allow_pickle=False) as stored:
                    self._add(file, json.loads(stored[_ABOUT].item()))
            except (EOFError, KeyError, OSError, ValueError, BadZipFile) as error:
                log.warning(f"{file}: is damaged ({error}): its recordings are scored again.")
                file.unlink()

    def __contains__(self, key: Key) -> bool:
        """Returns whether a recording is finished."""
        return key in self._files

    def write(self, tables: Mapping[Key, RecordingTable]) -> None:
        """Writes the tables of a block, by the keys of their recordings, completely or not at all."""
        about = [[key, _describe(table)] for key, table in tables.items()]
        columns: dict[str, Any] = {_ABOUT: np.array(json.dumps(about))}
        for number, table in enumerate(tables.values()):
            for place, part in enumerate(table.parts):
                columns |= {f"{number}.{place}.{name}": values for name, values in part.items()}
        target = self._folder / PARTS.replace("*", secrets.token_hex(8))
        with atomic_file(target) as temporary:
            np.savez(temporary, **columns)
        self._add(target, json.loads(json.dumps(about)))

    def time_zones(self, keys: Iterable[Key]) -> set[str | None]:
        """Returns the time zones of recordings, as far as they are finished."""
        return {self._about[key][1]["time_zone"] for key in keys if key in self}

    def tables(self, keys: Iterable[Key]) -> Iterator[RecordingTable]:
        """Yields the tables of recordings in order, as far as they are finished."""
        for file, own in groupby(filter(self.__contains__, keys), self._files.__getitem__):
            with np.load(file, allow_pickle=False) as stored:
                for key in own:
                    number, about = self._about[key]
                    yield _restore(number, about, stored)

    def _add(self, file: Path, about: Sequence[Any]) -> None:
        for number, (key, values) in enumerate(about):
            self._files[tuple(key)], self._about[tuple(key)] = file, (number, values)


def _describe(table: RecordingTable) -> dict[str, Any]:
    """Returns everything of a table but its columns, ready for JSON."""
    return {
        "name": table.name,
        "channel_names": table.channel_names,
        "time_zone": table.time_zone,
        "counts": {name: getattr(table, name) for name in _COUNTS},
        "events": [
            {**asdict(event), **{name: _encode(getattr(event, name)) for name in ("start", "end")}} for event in table.events
        ],
    }


def _restore(number: int, about: Mapping[str, Any], stored: Any) -> RecordingTable:
    columns: dict[str, dict[str, np.ndarray]] = {}
    for key in stored.files:
        if match := re.fullmatch(rf"{number}\.(\d+)\.(.+)", key):
            columns.setdefault(match[1], {})[match[2]] = stored[key]
    events = [Event(**{**event, **{name: _decode(event[name]) for name in ("start", "end")}}) for event in about["events"]]
    names = tuple(about["channel_names"])
    return RecordingTable(about["name"], names, list(columns.values()), about["time_zone"], **about["counts"], events=events)


def _encode(time: Any) -> Any:
    """Returns a time as a number, or as a text with the nanoseconds of a date."""
    return str(time.astype(np.int64)) if isinstance(time, np.datetime64) else time if time is None else float(time)


def _decode(time: Any) -> Any:
    return np.datetime64(int(time), "ns") if isinstance(time, str) else time
