"""The horizontal axis of the page of a recording."""

from typing import Any

import numpy as np
import pandas as pd

from amsl_tf.data.lengths import describe_seconds
from amsl_tf.data.recordings import Recording
from amsl_tf.plotting.recordings import find_gaps, find_spanned, has_times
from amsl_tf.scoring.events import Event
from amsl_tf.scoring.recording_scores import RecordingScores


class RecordingAxis:
    """The horizontal axis: times in the time zone of the recording, seconds or rows, relative to its first row.

    Attributes:
        kind: `dates`, `seconds` or `rows`.
        values: (rows,), the places of the rows, in seconds or rows.
        stops: (rows,), the places where they end: the next row, or one usual step further before a gap.
        starts: bool (rows,), whether a gap lies before a row.
        first, last, next: (N,), the places of the first and the last row of each window, and where the next one begins.
        window: The usual number of rows in a window.
        zone: The time zone, or None.
    """

    def __init__(self, recording: Recording, scores: RecordingScores) -> None:
        self.zone = scores.time_zone
        times: Any = recording.first_row + np.arange(len(recording))
        first: Any = scores.first_row
        last: Any = scores.last_row
        self.kind = "rows"
        if has_times(recording, scores):
            times, first, last = recording.time, scores.start, scores.end
            self.kind = "dates" if times.dtype.kind == "M" else "seconds"
        self._origin = times[0]
        self.values, self.first, self.last = map(self.places, (times, first, last))
        self.starts, step = find_gaps(self.values, find_spanned(recording, scores))
        self.stops = np.append(np.where(self.starts[1:], self.values[:-1] + step, self.values[1:]), self.values[-1] + step)
        self.next = np.append(np.where(scores.starts[1:], self.last[:-1] + step, self.first[1:]), self.last[-1] + step)
        self.window = int(np.median(scores.last_row - scores.first_row)) + 1
        self._decimals = max(0, 2 - int(np.floor(np.log10(step))))  # a hundredth of a step
        self._shifts, self._unit = [(0.0, 0.0)], "seconds"
        if self.kind == "dates":
            stamps = pd.DatetimeIndex(times)
            if stamps.nanosecond.any() or (stamps.microsecond % 1000).any():
                self._unit = "microseconds"
            elif stamps.microsecond.any():
                self._unit = "milliseconds"
            shifts = np.zeros(len(times))
            if self.zone is not None:
                local = stamps.tz_localize("UTC").tz_convert(self.zone).tz_localize(None)
                shifts = (local - stamps).total_seconds().to_numpy()
            changes = np.append(0, np.flatnonzero(np.diff(shifts)) + 1)
            self._shifts = [(self.values[change], shifts[change]) for change in changes]

    def places(self, values: Any) -> Any:
        """Returns the places of times or rows."""
        distance = values - self._origin
        return distance / np.timedelta64(1, "ns") * 1e-9 if self.kind == "dates" else np.asarray(distance, np.float64)

    def rounded(self, places: Any) -> Any:
        """Returns places as numbers for the page."""
        return np.round(places, self._decimals).tolist()

    def bounds(self, event: Event) -> tuple[float, float]:
        """Returns the places of the first and the last row of an event."""
        limits = (event.first_row, event.last_row) if self.kind == "rows" else (event.start, event.end)
        first, last = map(self.places, limits)
        return float(first), float(last)

    def span(self, event: Event) -> list[float]:
        """Returns the bounds of an event for the page."""
        return self.rounded(self.bounds(event))

    def text(self, place: float) -> str:
        """Names a place: its row, or its time in the time zone, with the offset from UTC if this changes in the recording."""
        if self.kind == "rows":
            return f"{round(self._origin + place):,}"
        if self.kind == "seconds":
            return f"{round(float(self._origin) + place, self._decimals):.15g} s"
        time = pd.Timestamp(self._origin) + pd.Timedelta(round(place * 1e9), "ns")
        if self.zone is not None:
            time = time.tz_localize("UTC").tz_convert(self.zone)
        if len(self._shifts) == 1:
            time = time.tz_localize(None)
        return time.isoformat(sep=" ", timespec=self._unit)

    def duration(self, first: float, last: float) -> str:
        """Names the time, or the number of rows, from a place to another."""
        if self.kind == "rows":
            return f"{round(last - first) + 1:,} rows"
        return describe_seconds(last - first)

    def json(self) -> dict[str, Any]:
        """Returns what the page needs to draw the axis."""
        is_date = self.kind == "dates"
        origin = (self._origin - np.datetime64(0, "ns")) / np.timedelta64(1, "ns") * 1e-9 if is_date else self._origin
        return {"kind": self.kind, "origin": float(origin), "end": self.rounded(self.values[-1]), "shifts": self._shifts}
