"""The training windows of recordings."""

import logging
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from amsl_tf.checks import check_choice, check_number
from amsl_tf.data.findings import Findings
from amsl_tf.data.lengths import describe_seconds, parse_length, to_rows
from amsl_tf.data.periods import DEFAULT_STEPS, MOST_ROWS, propose_steps
from amsl_tf.data.pieces import Pieces, find_pieces, make_pieces
from amsl_tf.data.preparation import Missing, Preparation, prepare, quarter
from amsl_tf.data.recordings import Recordings
from amsl_tf.data.resampling import ResampleBy
from amsl_tf.data.rows import Rows, join
from amsl_tf.data.times import find_period
from amsl_tf.data.window_reader import Source, WindowBatch, read_any_windows
from amsl_tf.data.windows import MIN_STEPS, chunks
from amsl_tf.errors import DataError

log = logging.getLogger(__name__)

LEAST_GROUPS = 3  # fewer recordings are left out in pieces, not as a whole: half of the data say too little about the rest
FILL = 10  # the longest run of missing values that is interpolated is this part of a window
REPORTED = 10  # recordings whose findings are logged
GROUPS = ("file", "folder")


class RecordingWindows(NamedTuple):
    """The normal windows of recordings, in order of recordings and rows.

    Attributes:
        x: float32 (N, T, C), finite.
        groups: The group of each window (N,), or None if there are fewer than three.
        pieces: Pieces of all windows, if there are no groups; else None.
        segment: int64 (N,), the part of a recording without gaps that each window is of, counted over all recordings.
        row: int64 (N,), the first row of each window in its segment, after resampling.
        channel_names: The names of the channels.
        about: What a detector keeps: the fields of `Preparation`, `stride`, and the numbers of `recordings`, `rows`, `filled`
            values, and windows left out because of `missing_windows`, values, and as `abnormal_windows`, labels.
    """

    x: np.ndarray
    groups: np.ndarray | None
    pieces: Pieces | None
    segment: np.ndarray
    row: np.ndarray
    channel_names: tuple[str, ...]
    about: dict[str, Any]


def collect_windows(
    recordings: Recordings,
    *,
    window: Any = None,
    stride: Any = None,
    groups: Any = "file",
    rate: float | None = None,
    resample: Any = None,
    resample_by: ResampleBy = "mean",
    max_gap: Any = None,
    missing: Missing = "interpolate",
    max_fill: Any = None,
) -> RecordingWindows:
    """Cuts recordings into training windows; see `AMSLDetector.fit_recordings` for the arguments.

    Raises:
        AMSLError: An argument is invalid, or a recording cannot be read or used.
    """
    keys = _group_keys(recordings, groups)
    head = _read_head(recordings[0])
    period = _find_period(head, recordings[0].name, rate, resample)
    gap = None
    if max_gap is not None:
        gap = _to_seconds("max_gap", max_gap, None if head.time is None else period)
    given = Preparation(
        period, resample is not None, resample_by, gap or quarter(DEFAULT_STEPS, period), missing, DEFAULT_STEPS // FILL
    )
    steps = _find_steps(head, given, window, recordings[0])
    step = _find_stride(stride, steps, period, recordings[0])
    fill = max(1, steps // FILL)
    if max_fill is not None:
        fill = 0 if max_fill in (0, "0") else to_rows("max_fill", parse_length("max_fill", max_fill), period)
    preparation = replace(given, max_gap=gap or quarter(steps, period), max_fill=fill)

    batches: list[WindowBatch] = []
    segments, owners, totals = [], [], {"rows": 0, "filled": 0, "missing_windows": 0, "abnormal_windows": 0}
    segment = -1
    all_findings, short = [], []
    for number, source in enumerate(recordings):
        findings, count = Findings(source.name), 0
        for batch in read_any_windows(source, steps, step, preparation, findings):
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
    if len(x) < 2:
        raise DataError(
            f"expected at least 2 normal windows of {steps} rows. Received: {len(x)}, of {totals['rows']:,} rows. Give more or "
            "longer normal recordings, or shorter windows."
        )
    if not any((part != x[0, 0]).any() for _, part in chunks(x)):
        raise DataError(
            "expected a channel that varies in normal operation, found none: all are constant. Record while the machine runs, "
            "or name other columns."
        )
    group = np.concatenate([keys[owner] for owner in owners])
    has_groups = len(np.unique(group)) >= LEAST_GROUPS
    return RecordingWindows(
        x,
        group if has_groups else None,
        None if has_groups else _make_pieces(x, step, recordings),
        np.concatenate(segments),
        np.concatenate([batch.place for batch in batches]),
        recordings.channel_names,
        {**asdict(preparation), "stride": step, "recordings": len(recordings), **totals},
    )


def _group_keys(recordings: Recordings, groups: Any) -> np.ndarray:
    """Returns the group of each recording, (number of recordings,)."""
    if isinstance(groups, str):
        check_choice("groups", groups, GROUPS)
        names = [source.name for source in recordings]
        return np.array([str(Path(name).parent) for name in names] if groups == "folder" else names)
    if np.shape(groups) != (len(recordings),):
        raise DataError(
            f"groups must be one of {', '.join(GROUPS)}, or a group for each of {len(recordings)} recordings. "
            f"Received: {groups!r}."
        )
    return np.asarray(groups)


def _read_head(source: Source) -> Rows:
    """Reads the first rows of a recording."""
    head: Rows | None = None
    for part in source.parts():
        head = part if head is None else join(head, part)
        if len(head) >= MOST_ROWS:
            break
    if head is None:
        raise DataError(f"{source.name}: expected rows, found none. Give a longer recording.")
    return head


def _find_period(head: Rows, name: str, rate: float | None, resample: Any) -> float | None:
    """Returns the seconds between rows, after resampling; None if they are not known."""
    found = find_period(head.time)
    if resample is not None:
        if found is None:
            raise DataError(f"{name}: expected times to resample, found none. Name their column, or do not resample.")
        return _to_seconds("resample", resample, found)
    return found if rate is None else 1 / check_number("rate", rate, 1e-9, 1e9)


def _to_seconds(name: str, value: Any, period: float | None) -> float:
    length = parse_length(name, value)
    if period is None:
        raise DataError(f"{name} needs a recording with times. Received: {value!r}. Name their column, or leave it out.")
    return length * period if isinstance(length, int) else length


def _find_steps(head: Rows, given: Preparation, window: Any, source: Source) -> int:
    """Returns the rows of a window, as given or proposed."""
    if source.window_steps is not None:
        if window is not None and parse_length("window", window) != source.window_steps:
            raise DataError(
                f"{source.name}: holds windows of {source.window_steps} rows. Received: window={window!r}. Leave it out."
            )
        return source.window_steps
    if window is None:
        prepared = list(prepare([head], given, Findings(source.name)))
        steps, reason = propose_steps(np.concatenate([part.x for part in prepared]))
        seconds = "" if given.period is None else f", {describe_seconds(steps * given.period)}"
        log.info(f"windows of {steps} rows{seconds}: {reason}. Another length can be given as window.")
        return steps
    steps = to_rows("window", parse_length("window", window), given.period)
    if steps < MIN_STEPS:
        raise DataError(
            f"window must have at least {MIN_STEPS} rows. Received: {window!r}, {steps} rows. Give a longer window."
        )
    return steps


def _find_stride(stride: Any, steps: int, period: float | None, source: Source) -> int:
    """Returns the rows between the starts of windows, by default a quarter of a window."""
    if stride is None:
        return steps if source.window_steps is not None else max(1, steps // 4)
    rows = to_rows("stride", parse_length("stride", stride), period)
    if source.window_steps not in (None, rows):
        raise DataError(f"{source.name}: holds windows, which are not cut again. Received: stride={stride!r}. Leave it out.")
    return rows


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
