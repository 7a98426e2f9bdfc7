"""Finds the events of a recording batch by batch."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from amsl_tf.data.channel_states import HEALTHY, STATES
from amsl_tf.scoring.events import MOST_CHANNELS, Event, MergeRule


@dataclass(frozen=True, eq=False)  # arrays have no single truth value
class WindowDecisions:
    """The decisions on consecutive windows of a recording, as `EventFinder` reads them; k of the n windows are flagged.

    Attributes:
        first_row, last_row: int64 (n,), in the file, counted from 0.
        is_anomaly: bool (n,), the flagged windows.
        score: float32 (n,), NaN for a window without one.
        health: int (n, C), positions in `amsl_tf.data.channel_states.STATES`.
        starts: bool (n,), whether a window begins a segment, as after a gap.
        place, last_place: int64 (n,), the first and the last row of each window in its segment, by which the rule joins
            windows: they differ from `first_row` and `last_row` after resampling.
        start, end: The times of the first and the last row, datetime64[ns] or float64 (n,), or None.
        p_value: float64 (n,), or None.
        channels: float (k, C), the contributions of the channels to the scores of the flagged windows, or None. A value that is
            not finite is left out of the mean.
        members: float (k, M), those of the parts of the score, or None.
    """

    first_row: np.ndarray
    last_row: np.ndarray
    is_anomaly: np.ndarray
    score: np.ndarray
    health: np.ndarray
    starts: np.ndarray
    place: np.ndarray
    last_place: np.ndarray
    start: np.ndarray | None = None
    end: np.ndarray | None = None
    p_value: np.ndarray | None = None
    channels: np.ndarray | None = None
    members: np.ndarray | None = None


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
        self.first_row = self.peak_row = int(batch.first_row[i])
        self.place = int(batch.place[i])
        self.start = None if batch.start is None else batch.start[i]
        self.windows, self.peak_score, self.p_value = 0, np.nan, np.nan
        self.channels, self.members = _Means(channels), _Means(members)
        self.states = np.zeros((channels, len(STATES)), int)  # flagged windows in each state other than healthy

    def add(self, batch: WindowDecisions, i: int, flagged: int) -> None:
        """Adds a window by its position in a batch, and by that among the flagged windows of the batch."""
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
