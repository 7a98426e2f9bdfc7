"""Missing values of recordings: unusable numbers, refusal and interpolation."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from amsl_tf.data.findings import Findings
from amsl_tf.data.rows import Rows, join
from amsl_tf.data.windows import LARGEST
from amsl_tf.errors import DataError


def remove_unusable(parts: Iterable[Rows], findings: Findings) -> Iterator[Rows]:
    """Converts values to float32, and those that are infinite or beyond `LARGEST` to missing ones, which are counted."""
    for part in parts:
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):  # overflow becomes infinite
            x = np.asarray(part.x, np.float32)
            is_unusable = np.abs(x) > LARGEST
        if is_unusable.any():
            findings.unusable += int(is_unusable.sum())
            x = np.where(is_unusable, np.float32(np.nan), x)
        yield replace(part, x=x)


def refuse_missing(parts: Iterable[Rows], name: str) -> Iterator[Rows]:
    """Passes rows on. Raises DataError with the place of the first missing value."""
    for part in parts:
        missing = np.argwhere(np.isnan(part.x))
        if len(missing):
            place = f"row {part.row[missing[0, 0]]:,}, channel {missing[0, 1]} (counted from 0)"
            raise DataError(f"{name}, {place}: expected a number, found a missing value. Fill it, or interpolate.")
        yield part


def interpolate(parts: Iterable[Rows], most: int, findings: Findings) -> Iterator[Rows]:
    """Interpolates runs of up to `most` missing values within a segment, linearly between the rows around them."""
    rest: Rows | None = None
    known = 0  # rows of `rest` that were yielded, and are kept as the neighbours of others
    for part in parts:
        rest = part if rest is None else join(rest, part)
        end = max(known, len(rest) - most)  # a run that reaches the end may go on
        if end > known:
            yield _fill(rest, most, known, end, findings)
            first = max(0, end - most)
            rest, known = rest[first:], end - first
    if rest is not None and len(rest) > known:
        yield _fill(rest, most, known, len(rest), findings)


def _fill(rows: Rows, most: int, first: int, end: int, findings: Findings) -> Rows:
    """Returns the rows from `first` to `end`, with interpolated values."""
    part = rows[first:end]
    missing = np.isnan(rows.x)
    count = int(missing[first:end].sum())
    if not count:
        return part
    if most:
        x = rows.x.copy()
        segment = np.zeros(len(rows), int) if rows.starts is None else np.cumsum(rows.starts)
        places = np.arange(len(rows))
        for channel in np.flatnonzero(missing[first:end].any(axis=0)):
            is_number = ~missing[:, channel]
            before = np.maximum.accumulate(np.where(is_number, places, -1))
            after = np.minimum.accumulate(np.where(is_number, places, len(rows))[::-1])[::-1]
            gap = ~is_number & (before >= 0) & (after < len(rows)) & (after - before - 1 <= most)
            at = np.flatnonzero(gap)
            at = at[segment[before[at]] == segment[after[at]]]
            if len(at):
                x[at, channel] = np.interp(at, places[is_number], rows.x[is_number, channel])
        part = replace(part, x=x[first:end])
    left = int(np.isnan(part.x).sum())
    findings.filled += count - left
    findings.left += left
    return part
