"""Events: flagged windows that follow each other, merged."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from amsl_tf.checks import convert_count
from amsl_tf.data.time_zones import convert_time

MOST_CHANNELS, TABLE_CHANNELS = 5, 3  # of an event and in a table, those with the largest contributions


@dataclass(frozen=True)
class MergeRule:
    """The rule by which flagged windows form events. Windows of different segments are never of one event.

    Attributes:
        min_windows: The number of flagged windows that an event has at least.
        merge_rows: The largest number of rows between two flagged windows of an event; 0 for windows that overlap or touch.
        min_rows: The number of rows, from its first to its last, that an event has at least.
    """

    min_windows: int = 1
    merge_rows: int = 0
    min_rows: int = 1

    def __post_init__(self) -> None:
        convert_count(self, "min_windows")
        convert_count(self, "merge_rows", minimum=0)
        convert_count(self, "min_rows")

    def joins(self, last_row: Any, first_row: Any) -> Any:
        """Returns whether a flagged window from `first_row` on continues an event of the same segment up to `last_row`."""
        return first_row - last_row - 1 <= self.merge_rows

    def keeps(self, windows: Any, rows: Any) -> Any:
        """Returns whether an event is long enough, by its numbers of flagged windows and of rows."""
        return (windows >= self.min_windows) & (rows >= self.min_rows)


def group_events(
    first_row: np.ndarray, last_row: np.ndarray, is_anomaly: np.ndarray, segment: np.ndarray, rule: MergeRule
) -> np.ndarray:
    """Groups flagged windows into events.

    Args:
        first_row, last_row: int64 (N,), in rising order within a segment.
        is_anomaly: bool (N,), the flagged windows.
        segment: int (N,), the segment of each window; the windows of a segment are consecutive.
        rule: The rule.

    Returns:
        int64 (N,), the event of each window, counted from 0; -1 for windows that belong to none.
    """
    events, flagged = np.full(len(is_anomaly), -1), np.flatnonzero(is_anomaly)
    if not len(flagged):
        return events
    first, last, segment = first_row[flagged], last_row[flagged], segment[flagged]
    begins = np.append(True, ~rule.joins(last[:-1], first[1:]) | (segment[1:] != segment[:-1]))
    number, ends = np.cumsum(begins) - 1, np.append(begins[1:], True)
    is_kept = rule.keeps(np.bincount(number), last[ends] - first[begins] + 1)
    events[flagged] = np.where(is_kept, np.cumsum(is_kept) - 1, -1)[number]
    return events


@dataclass(frozen=True)
class Event:
    """A part of a recording that is abnormal: consecutive flagged windows.

    Attributes:
        recording: The name of the recording, such as its file.
        first_row, last_row: The first and the last row of its windows in the file, counted from 0.
        start, end: The times of these rows: datetime64[ns], seconds, or None for a recording without times.
        windows: The number of flagged windows.
        peak_score: The largest score of its windows; NaN if none has a score.
        peak_row: The first row of the window with this score.
        p_value: The smallest p-value of its windows; NaN if none has one.
        channels: The mean contribution of each channel to the scores of the flagged windows, by name, the largest first;
            at most `MOST_CHANNELS`.
        members: That of each part of the score, by name, the largest first.
        health: The channels that were not healthy, by name, with their most frequent state other than healthy.
    """

    recording: str
    first_row: int
    last_row: int
    start: Any
    end: Any
    windows: int
    peak_score: float
    peak_row: int
    p_value: float
    channels: dict[str, float] = field(default_factory=dict)
    members: dict[str, float] = field(default_factory=dict)
    health: dict[str, str] = field(default_factory=dict)

    @property
    def duration(self) -> float:
        """The time from start to end in seconds; NaN if one is missing. The number of rows for a recording without times."""
        if self.start is None:
            return self.last_row - self.first_row + 1
        span = self.end - self.start
        return float(span / np.timedelta64(1, "s") if isinstance(span, np.timedelta64) else span)

    def to_dict(self, time_zone: str | None = None) -> dict[str, Any]:
        """Returns the attributes and the duration for JSON: dates in ISO format, None for what is missing.

        Args:
            time_zone: The time zone of the recording, if it has one; its dates are then converted from UTC.
        """
        times = {name: convert_time(getattr(self, name), time_zone) for name in ("start", "end")}
        texts = {name: time.isoformat() if isinstance(time, pd.Timestamp) else time for name, time in times.items()}
        values = {**asdict(self), **texts, "duration": self.duration}
        return {name: None if value is pd.NaT or value != value else value for name, value in values.items()}


def events_table(events: Sequence[Event], time_zone: str | None = None) -> dict[str, list]:
    """Builds the columns of a table of events.

    Args:
        events: The events, a row each.
        time_zone: The time zone of the recording, if it has one; its dates are then converted from UTC.

    Returns:
        Columns of equal length by name. `start` and `end` are times (dates as pandas.Timestamp), or rows for a recording
        without times; `duration` is in seconds, or rows. The first `TABLE_CHANNELS` channels, and members, have their mean
        contributions, such as `Pressure 1.2; Current 0.4`.
    """
    columns: dict[str, Callable[[Event], Any]] = {
        "file": lambda event: event.recording,
        "start": lambda event: event.first_row if event.start is None else convert_time(event.start, time_zone),
        "end": lambda event: event.last_row if event.end is None else convert_time(event.end, time_zone),
        "first_row": lambda event: event.first_row,
        "last_row": lambda event: event.last_row,
        "duration": lambda event: event.duration,
        "windows": lambda event: event.windows,
        "peak_score": lambda event: event.peak_score,
        "p_value": lambda event: event.p_value,
        "channels": lambda event: _join([*event.channels.items()][:TABLE_CHANNELS]),
        "members": lambda event: _join(event.members.items()),
        "health": lambda event: "; ".join(f"{name} {state}" for name, state in event.health.items()),
    }
    return {name: [value(event) for event in events] for name, value in columns.items()}


def _join(contributions: Iterable[tuple[str, float]]) -> str:
    return "; ".join(f"{name} {value:.3g}" for name, value in contributions)
