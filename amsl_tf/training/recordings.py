"""The training windows of recordings."""

import logging
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple, get_args

import numpy as np

from amsl_tf.checks import check_choice
from amsl_tf.data.choices import GroupBy
from amsl_tf.data.findings import Findings
from amsl_tf.data.pieces import Pieces, find_pieces, make_pieces
from amsl_tf.data.recordings import Recordings
from amsl_tf.data.window_reader import WindowBatch, WindowPlan, read_any_windows
from amsl_tf.data.windows import check_labels, chunks
from amsl_tf.errors import DataError

log = logging.getLogger(__name__)

LEAST_GROUPS = 3  # fewer recordings are left out in pieces, not as a whole: half of the data say too little about the rest
REPORTED = 10  # recordings whose findings are logged


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


def collect_windows(recordings: Recordings, plan: WindowPlan, groups: Any = "file") -> RecordingWindows:
    """Cuts recordings into training windows.

    Args:
        recordings: The recordings.
        plan: How they are cut, see `plan_windows`.
        groups: `file`, `folder`, or a group for each recording.

    Raises:
        DataError: `groups` are invalid, a recording cannot be read, or there are too few normal windows.
    """
    keys, steps = _group_keys(recordings, groups), plan.steps
    batches: list[WindowBatch] = []
    segments, owners, totals = [], [], {"rows": 0, "filled": 0, "missing_windows": 0, "abnormal_windows": 0}
    segment = -1
    all_findings, short = [], []
    for number, source in enumerate(recordings):
        findings, count = Findings(source.name), 0
        for batch in read_any_windows(source, plan, findings):
            count += len(batch)
            own = segment + np.cumsum(batch.starts)
            segment = int(own[-1])
            has_missing = np.isnan(batch.x).any(axis=(1, 2))
            is_abnormal = np.zeros(len(batch), bool) if batch.label is None else batch.label == 1
            totals["missing_windows"] += int(has_missing.sum())
            totals["abnormal_windows"] += int((is_abnormal & ~has_missing).sum())
            kept = ~(has_missing | is_abnormal)
            batches.append(batch[kept])
            segments.append(own[kept])
            owners.append(np.full(int(kept.sum()), number))
        totals["rows"] += findings.rows
        totals["filled"] += findings.filled
        if findings.describe():
            all_findings.append(findings)
        if not count:
            short.append(findings)
    _log_findings(all_findings, short, steps)
    x = np.concatenate([batch.x for batch in batches]) if batches else np.empty((0, steps, 1))
    _log_left_out(totals, len(x))
    _check_normal(x, totals["rows"])
    group = np.concatenate([keys[owner] for owner in owners])
    has_groups = len(np.unique(group)) >= LEAST_GROUPS
    return RecordingWindows(
        x,
        group if has_groups else None,
        None if has_groups else _make_pieces(x, plan.stride, recordings),
        np.concatenate(segments),
        np.concatenate([batch.place for batch in batches]),
        recordings.channel_names,
        {
            **asdict(plan.preparation),
            "stride": plan.stride,
            "left_out": "group" if has_groups else "piece",
            "recordings": len(recordings),
            "time_name": recordings[0].time_name,
            **totals,
        },
    )


def _group_keys(recordings: Recordings, groups: Any) -> np.ndarray:
    """Returns the group of each recording, (number of recordings,)."""
    if isinstance(groups, str):
        check_choice("groups", groups, get_args(GroupBy))
        names = [source.name for source in recordings]
        return np.array([str(Path(name).parent) for name in names] if groups == "folder" else names)
    if np.shape(groups) != (len(recordings),):
        raise DataError(
            f"groups must be one of {', '.join(get_args(GroupBy))}, or a group for each of {len(recordings)} recordings. "
            f"Received: {groups!r}."
        )
    return check_labels("groups", groups, len(recordings), "recording")


def _check_normal(x: np.ndarray, rows: int) -> None:
    """Raises DataError if there are too few windows, or all channels are constant."""
    if len(x) < 2:
        raise DataError(
            f"expected at least 2 normal windows of {x.shape[1]} rows. Received: {len(x)}, of {rows:,} rows. Give more or "
            "longer normal recordings, or shorter windows."
        )
    if not any((part != x[0, 0]).any() for _, part in chunks(x)):
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


def _log_left_out(totals: dict[str, int], kept: int) -> None:
    total = kept + totals["missing_windows"] + totals["abnormal_windows"]
    for name, reason in (("missing_windows", "have missing values"), ("abnormal_windows", "hold rows labelled abnormal")):
        if totals[name]:
            log.info(f"{totals[name]:,} of {total:,} windows {reason}: left out.")
