"""Events: flagged windows that follow each other, merged."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from amsl_tf.checks import convert_count
from amsl_tf.data.channel_states import HEALTHY, STATES

MOST_CHANNELS = 5  # of an event, those with the largest contributions


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
        times = {name: _convert_time(getattr(self, name), time_zone) for name in ("start", "end")}
        texts = {name: time.isoformat() if isinstance(time, pd.Timestamp) else time for name, time in times.items()}
        values = {**asdict(self), **texts, "duration": self.duration}
        return {name: None if value is pd.NaT or value != value else value for name, value in values.items()}


def events_table(events: Iterable[Event], n_channels: int = 3, time_zone: str | None = None) -> dict[str, list]:
    """Builds the columns of a table of events.

    Args:
        events: The events, a row each.
        n_channels: The number of channels that are named for each event.
        time_zone: The time zone of the recording, if it has one; its dates are then converted from UTC.

    Returns:
        Columns of equal length by name. `start` and `end` are times (dates as pandas.Timestamp), or rows for a recording
        without times; `duration` is in seconds, or rows. Channels and members have their mean contributions, such as
        `Pressure 1.2; Current 0.4`.
    """
    columns: dict[str, list] = {name: [] for name in ("file", "start", "end", "first_row", "last_row", "duration", "windows")}
    columns |= {name: [] for name in ("peak_score", "p_value", "channels", "members", "health")}
    for event in events:
        has_times = event.start is not None
        row = {
            "file": event.recording,
            "start": _convert_time(event.start, time_zone) if has_times else event.first_row,
            "end": _convert_time(event.end, time_zone) if has_times else event.last_row,
            "first_row": event.first_row,
            "last_row": event.last_row,
            "duration": event.duration,
            "windows": event.windows,
            "peak_score": event.peak_score,
            "p_value": event.p_value,
            "channels": "; ".join(f"{name} {value:.3g}" for name, value in [*event.channels.items()][:n_channels]),
            "members": "; ".join(f"{name} {value:.3g}" for name, value in event.members.items()),
            "health": "; ".join(f"{name} {state}" for name, state in event.health.items()),
        }
        for name, value in row.items():
            columns[name].append(value)
    return columns


def _convert_time(time: Any, time_zone: str | None) -> Any:
    """Converts a date to a pandas.Timestamp, in a time zone if it is known; returns seconds and None as they are."""
    if not isinstance(time, np.datetime64):
        return time
    return pd.Timestamp(time) if time_zone is None else pd.Timestamp(time, tz="UTC").tz_convert(time_zone)


@dataclass(frozen=True, eq=False)  # arrays have no single truth value
class WindowDecisions:
    """The decisions on consecutive windows of a recording, as `EventFinder` reads them; k of the n windows are flagged.

    Attributes:
        first_row, last_row: int64 (n,), in the file, counted from 0.
        is_anomaly: bool (n,), the flagged windows.
        score: float32 (n,), NaN for a window without one.
        health: int (n, C), positions in `amsl_tf.data.channel_states.STATES`.
        starts: bool (n,), whether a window begins a segment, as after a gap.
        start, end: The times of the first and the last row, datetime64[ns] or float64 (n,), or None.
        p_value: float64 (n,), or None.
        channels: float (k, C), the contributions of the channels to the scores of the flagged windows, or None. A value that is
            not finite is left out of the mean.
        members: float (k, M), those of the parts of the score, or None.
        place, last_place: int64 (n,), the first and the last row of each window in its segment, by which the rule joins
            windows: they differ from `first_row` and `last_row` after resampling. Equal to these if None.
    """

    first_row: np.ndarray
    last_row: np.ndarray
    is_anomaly: np.ndarray
    score: np.ndarray
    health: np.ndarray
    starts: np.ndarray
    start: np.ndarray | None = None
    end: np.ndarray | None = None
    p_value: np.ndarray | None = None
    channels: np.ndarray | None = None
    members: np.ndarray | None = None
    place: np.ndarray | None = None
    last_place: np.ndarray | None = None

    def __post_init__(self) -> None:
        for name, default in (("place", self.first_row), ("last_place", self.last_row)):
            if getattr(self, name) is None:
                object.__setattr__(self, name, default)


class EventFinder:
    """The events of a recording, found batch by batch. They do not depend on how the windows are divided into batches.

    Args:
        recording: The name of the recording.
        rule: The rule by which flagged windows form events.
        channel_names: The names of the channels.
        members: The names of the parts of the score.
    """

    def __init__(self, recording: str, rule: MergeRule, channel_names: Sequence[str], members: Sequence[str] = ()) -> None:
        self.recording, self.rule = recording, rule
        self.channel_names, self.members = tuple(channel_names), tuple(members)
        self._open: _OpenEvent | None = None

    def update(self, batch: WindowDecisions) -> list[Event]:
        """Reads the next windows, in order of their rows.

        Returns:
            The events that these windows complete: no later window can belong to them.
        """
        events, flagged_before = [], np.cumsum(batch.is_anomaly) - batch.is_anomaly
        assert batch.place is not None
        for i in np.flatnonzero(batch.is_anomaly | batch.starts):
            if self._open and (batch.starts[i] or not self.rule.joins(self._open.last_place, batch.place[i])):
                events += self.finish()
            if batch.is_anomaly[i]:
                self._open = self._open or _OpenEvent(batch, i, len(self.channel_names), len(self.members))
                self._open.add(batch, i, flagged_before[i])
        if self._open and len(batch.first_row) and not self.rule.joins(self._open.last_place, batch.place[-1]):
            events += self.finish()
        return events

    def finish(self) -> list[Event]:
        """Ends the recording. Returns the last event, if it is not complete yet."""
        event, self._open = self._open, None
        if event is None or not self.rule.keeps(event.windows, event.last_place - event.place + 1):
            return []
        states = {
            name: STATES[np.argmax(counts)]
            for name, counts in zip(self.channel_names, event.states, strict=True)
            if counts.any()
        }
        return [
            Event(
                recording=self.recording,
                first_row=event.first_row,
                last_row=event.last_row,
                start=event.start,
                end=event.end,
                windows=event.windows,
                peak_score=event.peak_score,
                peak_row=event.peak_row,
                p_value=event.p_value,
                channels=event.channels.largest(self.channel_names, MOST_CHANNELS),
                members=event.members.largest(self.members, len(self.members)),
                health=states,
            )
        ]


class _Means:
    """Running means of the finite values of several columns."""

    def __init__(self, columns: int) -> None:
        self.sums, self.counts = np.zeros(columns), np.zeros(columns, int)

    def add(self, values: np.ndarray) -> None:
        is_finite = np.isfinite(values)
        self.sums[is_finite] += values[is_finite]
        self.counts += is_finite

    def largest(self, names: Sequence[str], count: int) -> dict[str, float]:
        """Returns the largest means by name, in falling order. Columns without a finite value are left out."""
        means = {name: float(self.sums[i] / self.counts[i]) for i, name in enumerate(names) if self.counts[i]}
        return dict(sorted(means.items(), key=lambda item: -item[1])[:count])


class _OpenEvent:
    """An event to which windows may still be added, one by one, so that batches do not change the order of sums."""

    def __init__(self, batch: WindowDecisions, i: int, channels: int, members: int) -> None:
        assert batch.place is not None
        self.first_row = self.peak_row = int(batch.first_row[i])
        self.place = int(batch.place[i])
        self.start = None if batch.start is None else batch.start[i]
        self.windows, self.peak_score, self.p_value = 0, np.nan, np.nan
        self.channels, self.members = _Means(channels), _Means(members)
        self.states = np.zeros((channels, len(STATES)), int)  # flagged windows in each state other than healthy

    def add(self, batch: WindowDecisions, i: int, flagged: int) -> None:
        """Adds a window by its position in a batch, and by that among the flagged windows of the batch."""
        assert batch.last_place is not None
        self.windows += 1
        self.last_row, self.last_place = int(batch.last_row[i]), int(batch.last_place[i])
        self.end = None if batch.end is None else batch.end[i]
        score = float(batch.score[i])
        if not (np.isnan(score) or score <= self.peak_score):  # the first score is compared with NaN
            self.peak_score, self.peak_row = score, int(batch.first_row[i])
        if batch.p_value is not None:
            self.p_value = float(np.fmin(self.p_value, batch.p_value[i]))
        if batch.channels is not None:
            self.channels.add(batch.channels[flagged])
        if batch.members is not None:
            self.members.add(batch.members[flagged])
        health = batch.health[i]
        unhealthy = np.flatnonzero(health != HEALTHY)
        self.states[unhealthy, health[unhealthy]] += 1
