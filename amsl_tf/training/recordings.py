"""The training windows of recordings."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, get_args

import numpy as np

from amsl_tf.checks import check_choice
from amsl_tf.data.choices import GroupBy
from amsl_tf.data.findings import Findings
from amsl_tf.data.pieces import Pieces, find_pieces, make_pieces
from amsl_tf.data.recordings import Recordings
from amsl_tf.data.skipped import Skipped, none_usable
from amsl_tf.data.source import Source
from amsl_tf.data.window_reader import WindowBatch, WindowPlan, read_any_windows
from amsl_tf.data.windows import check_labels, chunks
from amsl_tf.errors import DataError

log = logging.getLogger(__name__)

LEAST_GROUPS = 3  # fewer recordings are left out in pieces, not as a whole: half of the data say too little about the rest
REPORTED = 10  # recordings whose findings are logged
LEFT_OUT = {"missing_windows": "have missing values", "abnormal_windows": "hold rows labelled abnormal"}  # windows, and why


class RecordingWindows(NamedTuple):
    """The normal windows of recordings, in order of recordings and rows.

    Attributes:
        x: float32 (N, T, C), finite.
        groups: The group of each window (N,), or None if there are fewer than three.
        pieces: Pieces of all windows, if there are no groups; else None.
        segment: int64 (N,), the part of a recording without gaps that each window is of, counted over all recordings.
        row: int64 (N,), the first row of each window in its segment, after resampling.
        channel_names: The names of the channels.
        metadata: Kept by a detector: the fields of `Preparation`, `stride`, `time_name`, what is `left_out` together (`group`
            or `piece`), and the numbers of `recordings`, `rows`, `filled` values, and windows left out because of
            `missing_windows`, values, and as `abnormal_windows`, labels.
    """

    x: np.ndarray
    groups: np.ndarray | None
    pieces: Pieces | None
    segment: np.ndarray
    row: np.ndarray
    channel_names: tuple[str, ...]
    metadata: dict[str, Any]


@dataclass
class WindowCounts:
    """What was found in one recording while its normal windows were read.

    Attributes:
        findings: What was found while it was prepared.
        segments: The number of its parts without gaps that have windows.
        windows: The number of all its windows.
        left_out: The numbers of windows left out, by the keys of `LEFT_OUT`.
    """

    findings: Findings
    segments: int = 0
    windows: int = 0
    left_out: dict[str, int] = field(default_factory=lambda: dict.fromkeys(LEFT_OUT, 0))


def read_normal_windows(source: Source, plan: WindowPlan, counts: WindowCounts) -> Iterator[tuple[WindowBatch, np.ndarray]]:
    """Reads the normal windows of a recording in batches, which may be empty, and updates counts.

    Args:
        source: The recording.
        plan: How it is cut.
        counts: The counts, complete once all windows are read.

    Yields:
        The windows without missing values and without rows labelled abnormal, and the segment of each, counted from 0.

    Raises:
        DataError: The recording cannot be read.
    """
    for batch in read_any_windows(source, plan, counts.findings):
        segment = counts.segments - 1 + np.cumsum(batch.starts)
        counts.segments = int(segment[-1]) + 1
        counts.windows += len(batch)
        has_missing = np.isnan(batch.x).any(axis=(1, 2))
        is_abnormal = np.zeros(len(batch), bool) if batch.label is None else batch.label == 1
        counts.left_out["missing_windows"] += int(has_missing.sum())
        counts.left_out["abnormal_windows"] += int((is_abnormal & ~has_missing).sum())
        kept = ~(has_missing | is_abnormal)
        yield batch[kept], segment[kept]


def collect_windows(
    recordings: Recordings, plan: WindowPlan, groups: Any = "file", skipped: list[Skipped] | None = None
) -> RecordingWindows:
    """Cuts recordings into training windows.

    Args:
        recordings: The recordings.
        plan: How they are cut, see `plan_windows`.
        groups: `file`, `folder`, or a group for each recording.
        skipped: A list to which recordings that cannot be read are added; if None, such a recording is an error.

    Raises:
        DataError: `groups` are invalid, a recording cannot be read, or there are too few normal windows.
    """
    keys = group_keys([source.name for source in recordings], groups, recordings.positions, recordings.given)
    read: list[WindowCounts] = []
    batches: list[WindowBatch] = []
    segments, owners, first_segment = [], [], 0
    for source, position, key in zip(recordings, recordings.positions, keys, strict=True):
        counts = WindowCounts(Findings(source.name))
        try:
            found = list(read_normal_windows(source, plan, counts))
        except DataError as error:
            if skipped is None:
                raise
            skipped.append(Skipped(position, source.name, str(error)))
            continue
        read.append(counts)
        batches += [batch for batch, _ in found]
        segments += [first_segment + segment for _, segment in found]
        owners += [np.repeat(key, len(batch)) for batch, _ in found]
        first_segment += counts.segments
    if skipped:
        skipped.sort()  # those that could not be opened came first
    if skipped and not read:
        raise none_usable(recordings.given, skipped[0].reason)
    metadata = summarise_windows(read, plan, recordings[0].time_name)
    x = np.concatenate([batch.x for batch in batches]) if batches else np.empty((0, plan.steps, 1), np.float32)
    check_normal(len(x), plan.steps, metadata["rows"], any((part != x[0, 0]).any() for _, part in chunks(x)))
    group = np.concatenate(owners)
    has_groups = len(np.unique(group)) >= LEAST_GROUPS
    return RecordingWindows(
        x,
        group if has_groups else None,
        None if has_groups else _make_pieces(x, plan.stride, recordings),
        np.concatenate(segments),
        np.concatenate([batch.place for batch in batches]),
        recordings.channel_names,
        {**metadata, "left_out": "group" if has_groups else "piece"},
    )


def summarise_windows(read: Sequence[WindowCounts], plan: WindowPlan, time_name: str | None) -> dict[str, Any]:
    """Logs what was found in recordings, and returns `RecordingWindows.metadata` without what is `left_out` together."""
    findings = [counts.findings for counts in read]
    totals = {name: sum(counts.left_out[name] for counts in read) for name in LEFT_OUT}
    short = [counts.findings for counts in read if not counts.windows]
    _log_findings([found for found in findings if found.describe()], short, plan.steps)
    windows = sum(counts.windows for counts in read)
    for name, reason in LEFT_OUT.items():
        if totals[name]:
            log.info(f"{totals[name]:,} of {windows:,} windows {reason}: left out.")
    return {
        **asdict(plan.preparation),
        "stride": plan.stride,
        "recordings": len(read),
        "time_name": time_name,
        "rows": sum(found.rows for found in findings),
        "filled": sum(found.filled for found in findings),
        **totals,
    }


def group_keys(names: Sequence[str], groups: Any, positions: Sequence[int], given: int) -> np.ndarray:
    """Returns the group of each recording.

    Args:
        names: The names of N recordings.
        groups: `file`, `folder`, or a group for each recording that was given.
        positions: The position of each of the N among those that were given.
        given: The number of recordings that were given, also of those that were left out.

    Returns:
        The groups (N,).

    Raises:
        DataError: `groups` are invalid.
    """
    if isinstance(groups, str):
        check_choice("groups", groups, get_args(GroupBy))
        return np.array([str(Path(name).parent) for name in names] if groups == "folder" else names)
    if np.shape(groups) != (given,):
        raise DataError(
            f"groups must be one of {', '.join(get_args(GroupBy))}, or a group for each of {given} recordings. "
            f"Received: {groups!r}."
        )
    return check_labels("groups", groups, given, "recording")[list(positions)]


def check_normal(windows: int, steps: int, rows: int, has_varying: bool) -> None:
    """Raises DataError if there are too few normal windows, or all channels are constant."""
    if windows < 2:
        raise DataError(
            f"expected at least 2 normal windows of {steps} rows. Received: {windows}, of {rows:,} rows. Give more or "
            "longer normal recordings, or shorter windows."
        )
    if not has_varying:
        raise DataError(
            "expected a channel that varies in normal operation, found none: all are constant. Record while the machine runs, "
            "or name other columns."
        )


def _make_pieces(x: np.ndarray, stride: int, recordings: Recordings) -> Pieces:
    """Splits windows of few recordings into pieces. Windows that were cut before may overlap."""
    found = None if recordings[0].window_steps is None else find_pieces(x)
    return found or make_pieces(len(x), x.shape[1], stride)


def _log_findings(findings: Sequence[Findings], short: Sequence[Findings], steps: int) -> None:
    """Logs what was found in the first recordings, and the first ones without a window."""
    for found in findings[:REPORTED]:
        found.report()
    if len(findings) > REPORTED:
        log.info(f"... and {len(findings) - REPORTED:,} more recordings with gaps in time or missing values.")
    for found in short[:REPORTED]:
        log.warning(f"{found.name}: no window of {steps} rows, of {found.rows:,} rows without a gap: left out.")
    if len(short) > REPORTED:
        log.warning(f"... and {len(short) - REPORTED:,} more recordings without a window: left out.")
