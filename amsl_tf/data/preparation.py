"""The preparation of recordings for windows: times, resampling and missing values, in constant memory."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import get_args

from amsl_tf.checks import check_choice
from amsl_tf.data.choices import Missing, ResampleBy
from amsl_tf.data.findings import Findings
from amsl_tf.data.missing_values import interpolate, refuse_missing, remove_unusable
from amsl_tf.data.resampling import resample
from amsl_tf.data.rows import Rows
from amsl_tf.data.times import mark_starts


@dataclass(frozen=True)
class Preparation:
    """How the rows of recordings are prepared.

    Attributes:
        period: The seconds between rows, as in the recordings that a detector was fitted to; None if they have no times. It is
            that after resampling.
        resample: Whether rows are resampled to `period`.
        resample_by: The value of a channel in a new row: the `mean` of the rows in its interval, or the `last`.
        max_gap: The longest step between two times in seconds that a window may span; None for any.
        missing: What happens to missing values: `interpolate` between the rows around them, or `refuse`.
        max_fill: The longest run of missing values in rows that is interpolated.
    """

    period: float | None = None
    resample: bool = False
    resample_by: ResampleBy = "mean"
    max_gap: float | None = None
    missing: Missing = "interpolate"
    max_fill: int = 0

    def __post_init__(self) -> None:
        check_choice("resample_by", self.resample_by, get_args(ResampleBy))
        check_choice("missing", self.missing, get_args(Missing))


def prepare(parts: Iterable[Rows], preparation: Preparation, findings: Findings) -> Iterator[Rows]:
    """Prepares the rows of a recording.

    Args:
        parts: The rows in consecutive parts.
        preparation: What to do.
        findings: What is found is added to it.

    Yields:
        The rows in consecutive parts, with `starts`: x float32, NaN where a value is missing.

    Raises:
        DataError: The sampling period is not that of `preparation`, or values are missing and `missing` is `refuse`.
    """
    usable = remove_unusable(parts, findings)
    rows = mark_starts(
        usable, findings, max_gap=preparation.max_gap, expected=preparation.period, is_resampled=preparation.resample
    )
    if preparation.resample:
        assert preparation.period is not None
        rows = resample(rows, preparation.period, preparation.resample_by, findings.name)
    if preparation.missing == "refuse":
        rows = refuse_missing(rows, findings.name)
    for part in interpolate(rows, preparation.max_fill, findings):
        findings.rows += len(part)
        yield part


def default_max_gap(steps: int, period: float | None) -> float | None:
    """Returns the default of `max_gap`: the seconds of a quarter of a window, but at least two rows and a half."""
    return None if period is None else max(math.ceil(steps / 4), 2.5) * period
