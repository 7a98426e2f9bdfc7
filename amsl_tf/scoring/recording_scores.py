"""The scores, decisions and events of recordings, in constant memory."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from typing import Any, Protocol

import numpy as np

from amsl_tf.data.window_reader import WindowBatch
from amsl_tf.scoring.event_finder import EventFinder, WindowDecisions
from amsl_tf.scoring.events import Event, MergeRule


class Scorer(Protocol):
    """A detector, or the client of a server."""

    def detect(self, windows: Any) -> dict[str, np.ndarray]:
        """Computes `score`, `is_anomaly`, `valid` and `health` of windows."""

    def explain(self, windows: Any) -> Any:
        """Computes the fields of an `Explanation`."""


@dataclass(frozen=True, eq=False)  # arrays have no single truth value
class ScoredWindows:
    """A batch of n windows of a recording with their scores.

    Attributes:
        windows: The windows.
        decisions: Their scores and decisions, with the contributions to the scores of the flagged windows.
        valid: bool (n,), whether a window has no missing value.
    """

    windows: WindowBatch
    decisions: WindowDecisions
    valid: np.ndarray


def score_windows(scorer: Scorer, batches: Iterable[WindowBatch], *, explain: bool = True) -> Iterator[ScoredWindows]:
    """Scores windows batch by batch.

    Args:
        scorer: A fitted detector, or a client.
        batches: The windows.
        explain: Whether the flagged windows are explained, which takes about as long as scoring them.
    """
    to_p_values = getattr(scorer, "to_p_values", None)
    for batch in batches:
        found = scorer.detect(batch.x)
        score, is_anomaly, health = found["score"], found["is_anomaly"], found["health"]
        p_value = None if to_p_values is None else to_p_values(score)
        channels = members = None
        if explain and is_anomaly.any():
            explanation = scorer.explain(batch.x[is_anomaly])
            causes = explanation if isinstance(explanation, dict) else explanation._asdict()
            channels, members = causes["channels"], causes["members"]
        decisions = WindowDecisions(
            batch.rows[:, 0],
            batch.rows[:, -1],
            is_anomaly,
            score,
            health,
            batch.starts,
            batch.place,
            batch.place + batch.x.shape[1] - 1,
            batch.start,
            batch.end,
            p_value,
            channels,
            members,
        )
        yield ScoredWindows(batch, decisions, found["valid"])


class StepScores:
    """The scores of time steps, batch by batch: the mean of the scores of the windows that cover a step.

    Args:
        steps: T, the rows of a window.
    """

    def __init__(self, steps: int) -> None:
        self._steps, self._place = steps, 0  # the row of the last window in its segment
        self._sums, self._counts, self._rows = np.empty(0), np.empty(0), np.empty(0, np.int64)
        self._times: np.ndarray | None = None

    def update(self, batch: WindowBatch, score: np.ndarray) -> dict[str, np.ndarray]:
        """Adds windows, and returns the steps that no later window covers.

        Args:
            batch: The windows.
            score: Their scores, (n,).

        Returns:
            The columns `row`, `time` if the recording has times, and `score`, NaN where a window that covers the step has no
            score. Rows that no window covers are missing.
        """
        parts = []
        for i in range(len(batch)):
            passed = len(self._sums) if batch.starts[i] else int(batch.place[i]) - self._place
            parts.append(self._flush(min(passed, len(self._sums))))
            self._place = int(batch.place[i])
            new = self._steps - len(self._sums)  # steps that the windows before do not cover
            self._sums, self._counts = np.append(self._sums, np.zeros(new)), np.append(self._counts, np.zeros(new))
            self._sums += score[i]
            self._counts += 1
            self._rows = np.append(self._rows, batch.rows[i, self._steps - new :])
            if batch.times is not None:
                tail = batch.times[i, self._steps - new :]
                self._times = tail if self._times is None else np.append(self._times, tail)
        return _join_columns(parts)

    def finish(self) -> dict[str, np.ndarray]:
        """Returns the last steps of the recording."""
        return self._flush(len(self._sums))

    def _flush(self, count: int) -> dict[str, np.ndarray]:
        """Removes the first steps, and returns their columns."""
        columns = {"row": self._rows[:count]}
        self._rows = self._rows[count:]
        if self._times is not None:
            columns["time"], self._times = self._times[:count], self._times[count:]
        columns["score"] = (self._sums[:count] / self._counts[:count]).astype(np.float32)
        self._sums, self._counts = self._sums[count:], self._counts[count:]
        return columns


def _join_columns(parts: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    kept = [part for part in parts if len(part["row"])]
    return {name: np.concatenate([part[name] for part in kept]) for name in kept[0]} if kept else {}


@dataclass(frozen=True, eq=False)  # arrays have no single truth value
class RecordingScores:
    """The result of scoring one recording: its N windows, which may overlap, and its events.

    Attributes:
        name: The name of the recording, such as its file.
        channel_names: The names of the C channels.
        time_zone: The time zone in which times are shown; those below are in UTC if there is one. None without one.
        first_row, last_row: int64 (N,), the first and the last row of each window in the file, counted from 0.
        start, end: (N,), the times of these rows, datetime64[ns] or float64 in seconds; None for a recording without times.
        score: float32 (N,), NaN where no channel can be used.
        p_value: float64 (N,), or None if the detector has none.
        is_anomaly: bool (N,), whether a window is flagged.
        health: int32 (N, C), positions in `amsl_tf.data.channel_states.STATES`.
        label: int8 (N,), 1 if a window holds an abnormal row; None without labels.
        starts: bool (N,), whether a window does not continue the window before it, as after a gap.
        threshold: The score from which on windows are flagged.
        events: The events, in the order of time.
    """

    name: str
    channel_names: tuple[str, ...]
    time_zone: str | None
    first_row: np.ndarray
    last_row: np.ndarray
    start: np.ndarray | None
    end: np.ndarray | None
    score: np.ndarray
    p_value: np.ndarray | None
    is_anomaly: np.ndarray
    health: np.ndarray
    label: np.ndarray | None
    starts: np.ndarray
    threshold: float
    events: list[Event]

    def __repr__(self) -> str:
        counts = f"{len(self.score):,} windows, {int(self.is_anomaly.sum()):,} flagged, {len(self.events):,} events"
        return f"RecordingScores({self.name!r}: {counts})"

    @classmethod
    def collect(
        cls,
        scored: Iterable[ScoredWindows],
        *,
        name: str,
        channel_names: tuple[str, ...],
        time_zone: str | None,
        threshold: float,
        rule: MergeRule,
        members: tuple[str, ...] = (),
    ) -> "RecordingScores":
        """Collects the batches of a recording, at least one, and finds its events."""
        finder, events = EventFinder(name, rule, channel_names, members), []
        shared = {item.name for item in fields(cls)} & {item.name for item in fields(WindowDecisions)}
        columns: dict[str, list[Any]] = {key: [] for key in ("label", *shared)}
        for batch in scored:
            events += finder.update(batch.decisions)
            columns["label"].append(batch.windows.label)
            for key in shared:
                columns[key].append(getattr(batch.decisions, key))
        return cls(
            name=name,
            channel_names=channel_names,
            time_zone=time_zone,
            threshold=threshold,
            events=events + finder.finish(),
            **{key: _concatenate(parts) for key, parts in columns.items()},
        )


def _concatenate(parts: list[Any]) -> Any:
    return None if parts[0] is None else np.concatenate(parts)
