"""The finished parts of a scoring job: files from which the tables are written, and an interrupted job resumes."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from amsl_tf.data.files import atomic_file
from amsl_tf.scoring.events import Event
from amsl_tf.scoring.recording_table import RecordingTable

PARTS = "part-*.npz"  # names of the files
_ABOUT = "recordings"  # the name of the array with everything but the columns
_COUNTS = ("windows", "flagged", "incomplete")


class Parts:
    """A folder with a file for the tables of each finished block.

    Args:
        folder: The folder, which exists.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[int, Path] = {}  # by the number of the recording
        self._about: dict[int, Any] = {}
        for file in sorted(folder.glob(PARTS)):
            with np.load(file, allow_pickle=False) as stored:
                self._add(file, json.loads(stored[_ABOUT].item()))

    @property
    def numbers(self) -> set[int]:
        """The numbers of the recordings that are finished."""
        return set(self._files)

    @property
    def time_zones(self) -> set[str | None]:
        """The time zones of these recordings."""
        return {about["time_zone"] for about in self._about.values()}

    def write(self, tables: Mapping[int, RecordingTable]) -> None:
        """Writes the tables of a block, by the numbers of their recordings, completely or not at all."""
        about = {number: _describe(table) for number, table in tables.items()}
        columns: dict[str, Any] = {_ABOUT: np.array(json.dumps(about))}
        for number, table in tables.items():
            for place, part in enumerate(table.parts):
                columns |= {f"{number}.{place}.{name}": values for name, values in part.items()}
        target = self._folder / PARTS.replace("*", f"{min(tables):09d}")
        with atomic_file(target) as temporary:
            np.savez(temporary, **columns)
        self._add(target, json.loads(json.dumps(about)))

    def tables(self) -> Iterator[RecordingTable]:
        """Yields the tables of all recordings in order."""
        for file, numbers in groupby(sorted(self._files), self._files.__getitem__):
            with np.load(file, allow_pickle=False) as stored:
                for number in numbers:
                    yield _restore(number, self._about[number], stored)

    def _add(self, file: Path, about: Mapping[str, Any]) -> None:
        for number, values in about.items():
            self._files[int(number)], self._about[int(number)] = file, values


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
