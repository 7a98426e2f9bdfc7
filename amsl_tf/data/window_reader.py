"""Cuts recordings into windows, in constant memory."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, replace
from typing import Protocol

import numpy as np
import pandas as pd

from amsl_tf.data.findings import Findings
from amsl_tf.data.preparation import Preparation, prepare
from amsl_tf.data.rows import Rows, join
from amsl_tf.data.windows import chunks
from amsl_tf.errors import DataError

BATCH = 64  # windows in a batch


class Source(Protocol):
    """A recording, in memory or in a file.

    Attributes:
        name: Its origin, such as the file.
        channel_names: The names of its channels.
        time_zone: The time zone in which times are shown, or None; known at the latest when rows are read.
        window_steps: The length of windows that are cut already, whose rows are below each other; None for others.
    """

    @property
    def name(self) -> str: ...

    @property
    def channel_names(self) -> tuple[str, ...]: ...

    @property
    def time_zone(self) -> str | None: ...

    @property
    def window_steps(self) -> int | None: ...

    def parts(self) -> Iterator[Rows]:
        """Yields the rows in consecutive parts."""


@dataclass(frozen=True, eq=False)  # arrays have no single truth value
class WindowBatch:
    """Windows of a recording.

    Attributes:
        x: float32 (n, T, C), in the units of the recording; NaN where a value is missing.
        rows: int64 (n, T), the rows of each window in the file, counted from 0; after resampling that before each.
        place: int64 (n,), the row of each window since the last gap, after resampling.
        starts: bool (n,), whether a window is the first one of the recording or after a gap.
        times: (n, T), the times of the rows, see `Rows`; None without times.
        label: int8 (n,), 1 for windows with an abnormal row; None without labels.
    """

    x: np.ndarray
    rows: np.ndarray
    place: np.ndarray
    starts: np.ndarray
    times: np.ndarray | None = None
    label: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, windows: np.ndarray | list[int]) -> "WindowBatch":
        columns = (getattr(self, item.name) for item in fields(self))
        return WindowBatch(*(None if column is None else column[windows] for column in columns))  # type: ignore[arg-type]

    @property
    def start(self) -> np.ndarray | None:
        """The time of the first row of each window, (n,), or None."""
        return None if self.times is None else self.times[:, 0]

    @property
    def end(self) -> np.ndarray | None:
        """The time of the last row of each window, (n,), or None."""
        return None if self.times is None else self.times[:, -1]


def read_windows(source: Source, steps: int, stride: int, preparation: Preparation) -> Iterator[WindowBatch]:
    """Reads the windows of a recording in batches, and logs what was found in it.

    Args:
        source: The recording.
        steps: T, the number of rows of a window.
        stride: The number of rows between the starts of consecutive windows; T if the recording is cut already.
        preparation: The treatment of times and missing values.

    Yields:
        The windows. No window spans a gap, and rows that do not fill a window are omitted.

    Raises:
        DataError: The recording cannot be read or prepared, or it has too few rows for a window.

    Example:
        >>> for batch in read_windows(open_recording("pump.csv"), 60, 15, Preparation()):
        ...     scores = detector.detect(batch.x)["score"]
    """
    found = Findings(source.name)
    count = 0
    for batch in read_any_windows(source, steps, stride, preparation, found):
        count += len(batch)
        yield batch
    found.report()
    if not count:
        gaps = " without a gap" if found.steps and found.steps.get("gap") else ""
        raise DataError(
            f"{source.name}: expected at least {steps} rows{gaps}, the length of a window, found {found.rows:,}. Give a longer "
            "recording."
        )


def read_any_windows(
    source: Source, steps: int, stride: int, preparation: Preparation, findings: Findings
) -> Iterator[WindowBatch]:
    """Reads the windows of a recording like `read_windows`, but there may be none, and `findings` are not logged."""
    if source.window_steps is not None:
        if source.window_steps != steps:
            fault = f"expected windows of {steps} time steps. Received: {source.window_steps} time steps"
            raise DataError(f"{source.name}: {fault}.")
        stride, preparation = steps, replace(preparation, max_fill=0)  # the next window may be of another time
    yield from cut(prepare(source.parts(), preparation, findings), steps, stride)


def find_window(
    batches: Iterable[WindowBatch], number: int | None = None, time: str | None = None, zone: str | None = None
) -> tuple[int, WindowBatch]:
    """Finds a window of a recording by its number, or of those that hold a time the one whose middle is closest to it.

    Args:
        batches: The windows.
        number: The number of the window, counted from 0.
        time: Without `number`, the time as text: a date in the time zone of the recording, or seconds.
        zone: The time zone of the recording.

    Returns:
        The number of the window, and the window alone.

    Raises:
        DataError: There is no such window, or the recording has no such times.
    """
    count, best, distance = 0, None, np.inf
    for batch in batches:
        if number is not None and count <= number < count + len(batch):
            return number, batch[[number - count]]
        if number is None and time is not None:
            distances = _distances(batch, time, zone)
            closest = int(distances.argmin())
            if distances[closest] < distance:
                best, distance = (count + closest, batch[[closest]]), distances[closest]
        count += len(batch)
    if best is None and number is None:
        raise DataError(f"no window holds the time {time}. Give a time within the recording, with its date if it has dates.")
    if best is None:
        raise DataError(f"there is no window {number}. There are {count}, counted from 0.")
    return best


def _distances(batch: WindowBatch, time: str, zone: str | None) -> np.ndarray:
    """Returns the distances of the middles of windows to a time, in seconds; infinite for windows that do not hold it."""
    if batch.start is None or batch.end is None:
        raise DataError("the recording has no times. Give the number of a window, or the column of times.")
    try:
        stamp = float(time) if batch.start.dtype.kind != "M" else pd.Timestamp(time).as_unit("ns")
        if stamp != stamp:
            raise ValueError("no time")
        if not isinstance(stamp, float) and stamp.tzinfo is None and zone is not None:
            stamp = stamp.tz_localize(zone, ambiguous=True, nonexistent="shift_forward")  # where clocks are changed
        if not isinstance(stamp, float):
            stamp = (stamp if stamp.tzinfo is None else stamp.tz_convert("UTC").tz_localize(None)).to_datetime64()
    except ValueError as error:
        raise DataError(f"expected a time such as those of the recording. Received: {time!r} ({error}).") from error
    half = (batch.end - batch.start) / 2
    distances = np.abs(batch.start + half - stamp)
    is_held = distances <= half
    return np.where(is_held, distances / (1.0 if isinstance(stamp, float) else np.timedelta64(1, "s")), np.inf)


def cut(parts: Iterable[Rows], steps: int, stride: int) -> Iterator[WindowBatch]:
    """Cuts the rows of a recording into windows of `steps` rows, of which one begins every `stride` rows of each segment.

    Args:
        parts: The rows in consecutive parts.
        steps: T, the number of rows of a window.
        stride: The number of rows between the starts of consecutive windows.

    Yields:
        The windows, up to `BATCH` at a time.
    """
    rest, skip, place = None, 0, 0  # rows from the next window on; rows before it that are still to come; its row
    waiting: list[WindowBatch] = []
    for piece in (piece for part in parts for piece in _split(part)):
        if piece.starts is not None and piece.starts[0]:
            rest, skip, place = None, 0, 0
        skipped = min(skip, len(piece))
        skip, piece = skip - skipped, piece[skipped:]
        rest = piece if rest is None else join(rest, piece)
        count = max(0, (len(rest) - steps) // stride + 1)
        for _, offsets in chunks(np.arange(count) * stride, BATCH):
            waiting.append(_window_batch(rest, offsets, steps, place))
            place += len(offsets) * stride
            if sum(map(len, waiting)) >= BATCH:
                yield _concatenate(waiting)
                waiting = []
        skipped = min(count * stride, len(rest))
        rest, skip = rest[skipped:], skip + count * stride - skipped
    if waiting:
        yield _concatenate(waiting)


def _split(part: Rows) -> Iterator[Rows]:
    """Splits rows where a segment begins."""
    starts = np.array([], int) if part.starts is None else np.flatnonzero(part.starts)
    edges = np.unique(np.concatenate([[0], starts, [len(part)]])).astype(int)
    for first, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        yield part[first:end]


def _window_batch(rows: Rows, offsets: np.ndarray, steps: int, place: int) -> WindowBatch:
    places = offsets[:, None] + np.arange(steps)
    own = place + offsets - offsets[0]
    return WindowBatch(
        np.asarray(rows.x[places], np.float32),
        rows.row[places],
        own,
        own == 0,
        None if rows.time is None else rows.time[places],
        None if rows.label is None else rows.label[places].max(axis=1),
    )


def _concatenate(batches: list[WindowBatch]) -> WindowBatch:
    columns = ([getattr(batch, item.name) for batch in batches] for item in fields(WindowBatch))
    return WindowBatch(*(None if column[0] is None else np.concatenate(column) for column in columns))  # type: ignore[arg-type]
