"""Cuts recordings into windows, in constant memory."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, replace
from typing import NamedTuple

import numpy as np

from amsl_tf.data.findings import Findings
from amsl_tf.data.preparation import Preparation, prepare
from amsl_tf.data.rows import Rows, join
from amsl_tf.data.source import Source
from amsl_tf.data.windows import chunks
from amsl_tf.errors import DataError

BATCH = 64  # windows in a batch


class WindowPlan(NamedTuple):
    """The way in which recordings are cut into windows.

    Attributes:
        steps: T, the number of rows of a window.
        stride: The number of rows between the starts of consecutive windows; T for recordings that are cut already.
        preparation: The treatment of times and missing values.
    """

    steps: int
    stride: int
    preparation: Preparation = Preparation()


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


def read_windows(source: Source, plan: WindowPlan) -> Iterator[WindowBatch]:
    """Reads the windows of a recording in batches, and logs what was found in it.

    Args:
        source: The recording.
        plan: How it is cut.

    Yields:
        The windows. No window spans a gap, and rows that do not fill a window are omitted.

    Raises:
        DataError: The recording cannot be read or prepared, or it has too few rows for a window.

    Example:
        >>> for batch in read_windows(open_recording("pump.csv"), WindowPlan(60, 15)):
        ...     scores = detector.detect(batch.x)["score"]
    """
    found = Findings(source.name)
    count = 0
    for batch in read_any_windows(source, plan, found):
        count += len(batch)
        yield batch
    found.report()
    if not count:
        gaps = " without a gap or a step back in time" if found.steps and {"gap", "backwards"} & {*found.steps} else ""
        raise DataError(
            f"{source.name}: expected at least {plan.steps} rows{gaps}, the length of a window, found {found.rows:,}. Give a "
            "longer recording."
        )


def read_any_windows(source: Source, plan: WindowPlan, findings: Findings) -> Iterator[WindowBatch]:
    """Reads the windows of a recording like `read_windows`, but there may be none, and `findings` are not logged."""
    steps, stride, preparation = plan
    if source.window_steps is not None:
        if source.window_steps != steps:
            fault = f"expected windows of {steps} time steps. Received: {source.window_steps} time steps"
            raise DataError(f"{source.name}: {fault}.")
        batches = cut(prepare(source.parts(), replace(preparation, max_fill=0), findings), steps, steps)
        yield from (replace(batch, starts=np.ones_like(batch.starts)) for batch in batches)  # each may be of another time
        return
    yield from cut(prepare(source.parts(), preparation, findings), steps, stride)


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
