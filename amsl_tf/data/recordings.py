"""Recordings of multivariate sensor data, in memory and in files, and their validation."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, overload

import numpy as np
import pandas as pd

from amsl_tf.data.findings import Findings
from amsl_tf.data.frames import convert_frame
from amsl_tf.data.notes import list_names, without_repeats
from amsl_tf.data.preparation import Preparation, prepare
from amsl_tf.data.reading import Reading
from amsl_tf.data.recording_files import find_files, open_recording
from amsl_tf.data.rows import Rows
from amsl_tf.data.skipped import Skipped, none_usable
from amsl_tf.data.source import Source
from amsl_tf.data.windows import LARGEST, check_binary, chunks
from amsl_tf.errors import DataError

log = logging.getLogger(__name__)

ROWS = 16_384  # of a part


@dataclass(frozen=True, eq=False)  # arrays have no single truth value
class Recording:
    """Consecutive time steps of C channels, with optional labels and times.

    Attributes:
        x: float32 (rows, C); NaN where a value is missing, as are masked ones.
        name: The origin of the recording, such as its file, also for error messages.
        label: int (rows,), 1 for abnormal and 0 for normal time steps, or None.
        time: (rows,), times in seconds or of the type datetime64, in UTC if there is a time zone, or None.
        first_row: The row of `name` with which the recording begins, if it is a part of it.
        channel_names: The names of the channels; `channel 0`, ... if empty.
        time_zone: The time zone in which times are shown, or None.

    Raises:
        DataError: `x` is not a table of numbers within `LARGEST` of 0, or labels, times or names do not fit it.

    Example:
        >>> recording = Recording(values, "pump_3.csv", label=labels)  # arrays (rows, C) and (rows,)
        >>> start = recording[:400]
    """

    x: np.ndarray
    name: str
    label: np.ndarray | None = None
    time: np.ndarray | None = None
    first_row: int = 0
    channel_names: tuple[str, ...] = ()
    time_zone: str | None = None

    window_steps = None  # windows are cut from it
    time_name = None

    def __post_init__(self) -> None:
        x = np.asanyarray(self.x)
        if x.ndim != 2 or x.dtype.kind not in "fiu" or not x.size:
            raise DataError(f"{self.name}: expected numbers (rows, channels). Received: {x.dtype}, shape {x.shape}.")
        with np.errstate(over="ignore", under="ignore"):  # overflow becomes infinite
            x = np.ma.filled(x.astype(np.float32, copy=False), np.nan)
        unusable = np.abs(x) > LARGEST  # false for NaN
        if unusable.any():
            row, channel = np.argwhere(unusable)[0]
            place = f"row {row}, channel {channel} (counted from 0)"
            raise DataError(f"{self.name}, {place}: expected a number within {LARGEST:g} of 0, found {x[row, channel]}.")
        object.__setattr__(self, "x", x)
        if self.label is not None:
            object.__setattr__(self, "label", check_binary(f"{self.name}: labels", self.label, len(x), "row"))
        if self.time is not None:
            time = np.asarray(self.time)
            if time.shape != (len(self.x),) or time.dtype.kind not in "fiuM":
                received = f"{time.dtype}, shape {time.shape}"
                raise DataError(f"{self.name}: expected a time for each of {len(self.x)} rows. Received: {received}.")
            object.__setattr__(self, "time", time)
        names = tuple(self.channel_names) or _number_channels(x.shape[1])
        if len(names) != x.shape[1]:
            raise DataError(f"{self.name}: expected a name for each of {x.shape[1]} channels. Received: {len(names)} names.")
        object.__setattr__(self, "channel_names", names)

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, rows: slice) -> "Recording":
        """Returns the part of the recording in a slice of rows."""
        label, time = (None if values is None else values[rows] for values in (self.label, self.time))
        first_row = self.first_row + rows.indices(len(self))[0]
        return Recording(self.x[rows], self.name, label, time, first_row, self.channel_names, self.time_zone)

    def parts(self) -> Iterator[Rows]:
        """Yields the rows in consecutive parts."""
        time = self.time
        if time is not None:
            time = time.astype("datetime64[ns]" if time.dtype.kind == "M" else np.float64)
        label = None if self.label is None else self.label.astype(np.int8)
        for start, x in chunks(self.x, ROWS):
            place = slice(start, start + len(x))
            rows = np.arange(start, start + len(x)) + self.first_row
            yield Rows(x, rows, None if time is None else time[place], None if label is None else label[place])


class Recordings(Sequence[Source]):
    """Recordings with the same channels, in memory or in files, which are read when they are needed.

    Args:
        sources: `Recording`s and files of `open_recording`.
        positions: The position of each among all that were given, if some were left out.
        given: The number of all that were given, likewise.

    Raises:
        DataError: There is none, or they have different channels.
    """

    def __init__(self, sources: Sequence[Source], positions: Sequence[int] | None = None, given: int | None = None) -> None:
        if not sources:
            raise DataError("expected one or more recordings. Received: none.")
        self._sources = tuple(sources)
        self.positions = tuple(range(len(sources)) if positions is None else positions)
        self.given = len(sources) if given is None else given
        first = self._sources[0]
        for source in self._sources[1:]:
            check_channels(source, first.channel_names, f"as in {first.name}")

    @classmethod
    def of(
        cls,
        data: Any,
        reading: Reading | None = None,
        names: Sequence[str] = (),
        *,
        check: Callable[[Source], None] | None = None,
        skipped: list[Skipped] | None = None,
    ) -> "Recordings":
        """Opens recordings of any kind.

        Args:
            data: One of the following, a list of them, or a dict of them by name: the path of a file or of a folder, a
                `Recording`, a pandas or polars data frame, or an array (rows, C).
            reading: Which columns of files and data frames are channels, times and labels; see `Reading`.
            names: The names of the channels, if known.
            check: Raises DataError for a recording that cannot be used.
            skipped: A list to which recordings that cannot be opened or used are added; if None, such a recording is an error.

        Raises:
            DataError: Something is none of these, is not found, or has other channels than the first recording.

        Example:
            >>> recordings = Recordings.of("recordings/", Reading(label="anomaly"))
            >>> detector.fit_recordings(recordings, window="2s")
        """
        if isinstance(data, cls):
            return data
        sources: list[Source] = []
        positions: list[int] = []
        given = 0
        with without_repeats():
            for position, (name, item) in enumerate(_list_items(data)):
                given += 1
                known = names or (sources[0].channel_names if sources else ())
                shown = str(item) if isinstance(item, Path) else name
                try:
                    source = _convert(item, reading or Reading(), known, name)
                    shown = source.name
                    if sources:
                        check_channels(source, sources[0].channel_names, f"as in {sources[0].name}")
                    if check is not None:
                        check(source)
                except DataError as error:
                    if skipped is None:
                        raise
                    skipped.append(Skipped(position, shown, str(error)))
                    continue
                sources.append(source)
                positions.append(position)
        if skipped and given and not sources:
            raise none_usable(given, skipped[-given].reason)
        return cls(sources, positions, given)

    def __len__(self) -> int:
        return len(self._sources)

    @overload
    def __getitem__(self, place: int) -> Source: ...
    @overload
    def __getitem__(self, place: slice) -> "Recordings": ...
    def __getitem__(self, place: int | slice) -> "Source | Recordings":
        return Recordings(self._sources[place]) if isinstance(place, slice) else self._sources[place]

    @property
    def channel_names(self) -> tuple[str, ...]:
        """The names of the channels."""
        return self._sources[0].channel_names


def load_recording(source: Source, preparation: Preparation | None = None) -> Recording:
    """Reads a recording into memory, with values that are infinite or beyond `LARGEST` as missing ones.

    Args:
        source: The recording.
        preparation: How it is prepared; its rows are then those after resampling. As it is if None.

    Raises:
        DataError: The recording cannot be read or prepared.
    """
    rows = source.parts()
    parts = list(rows if preparation is None else prepare(rows, preparation, Findings(source.name)))
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        x = np.concatenate([np.asarray(part.x, np.float32) for part in parts])
        x[np.abs(x) > LARGEST] = np.nan
    time, label = (
        None if getattr(parts[0], name) is None else np.concatenate([getattr(part, name) for part in parts])
        for name in ("time", "label")
    )
    first_row = int(parts[0].row[0]) if preparation is None else 0
    return Recording(x, source.name, label, time, first_row, source.channel_names, source.time_zone)


def check_channels(source: Source, names: Sequence[str], origin: str) -> None:
    """Raises DataError if a recording has other channels than expected; `origin` says from where these are."""
    found = source.channel_names
    if tuple(found) == tuple(names):
        return
    missing, new = ([name for name in own if name not in others] for own, others in ((names, found), (found, names)))
    faults = [f"{fault} {list_names(some)}" for fault, some in (("without", missing), ("with", new)) if some]
    if not faults:
        faults = ["in another order"]
    raise DataError(
        f"{source.name}: expected the {len(names)} channels {list_names(names)}, {origin}; found {len(found)}, "
        f"{' and '.join(faults)}. Name the channels, or leave out columns."
    )


def _list_items(data: Any) -> Iterator[tuple[str, Any]]:
    """Yields the recordings that `Recordings.of` accepts with their names. Files, also those of a folder, are paths."""
    items = data if isinstance(data, list | tuple | Mapping) else [data]
    named = items.items() if isinstance(items, Mapping) else ((f"recording {i}", item) for i, item in enumerate(items))
    listed: set[Path] = set()  # a file may be given twice, or with its folder
    for name, item in named:
        if not isinstance(item, str | Path):
            yield str(name), item
            continue
        files = find_files([item])
        if isinstance(data, Mapping) and len(files) > 1:
            raise DataError(f"{item}: expected one recording, {name}, found {len(files)} files. Name one file.")
        for file in files:
            if file.resolve() not in listed:
                listed.add(file.resolve())
                yield str(name), file


def _convert(item: Any, reading: Reading, names: Sequence[str], name: str) -> Source:
    """Converts one recording of a kind that `Recordings.of` accepts, or the path of a file."""
    if isinstance(item, Path):
        return open_recording(item, reading, names)
    if isinstance(item, Recording) and len(names) == item.x.shape[1] and item.channel_names == _number_channels(len(names)):
        return replace(item, channel_names=tuple(names))
    if hasattr(item, "parts") and hasattr(item, "channel_names"):
        return item
    if hasattr(item, "to_pandas"):  # a frame of polars
        item = item.to_pandas()
    if isinstance(item, pd.DataFrame):
        channels, rows, zone = convert_frame(item, reading, names, name)
        return Recording(_remove_unusable(rows.x, name), name, rows.label, rows.time, 0, channels, zone)
    if isinstance(item, np.ndarray):
        x = _remove_unusable(item, name) if item.dtype.kind == "f" else item
        return Recording(x, name, channel_names=tuple(names))
    raise DataError(f"{name}: expected a path, a Recording, a data frame or an array. Received: {type(item).__name__}.")


def _remove_unusable(x: np.ndarray, name: str) -> np.ndarray:
    """Replaces values that are infinite or beyond `LARGEST` by missing ones, as in files."""
    is_unusable = np.abs(x) > LARGEST
    if not is_unusable.any():
        return x
    log.info(f"{name}: {np.sum(is_unusable):,} values that are infinite or beyond {LARGEST:g} count as missing.")
    return np.where(is_unusable, np.nan, x)


def _number_channels(count: int) -> tuple[str, ...]:
    """Returns the names of channels without names."""
    return tuple(f"channel {channel}" for channel in range(count))
