"""The scores of a recording as a table, part by part, with the events that are found meanwhile."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from amsl_tf.data.source import Source
from amsl_tf.data.window_reader import WindowPlan, read_windows
from amsl_tf.scoring.event_finder import EventFinder
from amsl_tf.scoring.events import Event, MergeRule
from amsl_tf.scoring.recording_scores import ScoredWindows, Scorer, StepScores, score_windows
from amsl_tf.scoring.threshold import is_abnormal

Columns = dict[str, np.ndarray]


@dataclass
class RecordingTable:
    """The scores of a recording; counts and events are complete once all parts are read.

    Attributes:
        name: The name of the recording.
        channel_names: The names of its channels.
        parts: The columns of consecutive rows by name: `first_row`, `last_row`, `start` and `end`, `score`, `p_value`,
            `is_anomaly`, `valid`, `health` (codes, (rows, C)) and `label` of windows, without those that are not known, or
            `row`, `time`, `score` and `is_anomaly` of time steps. Times are dates in UTC or seconds.
        time_zone: The time zone in which times are shown, or None.
        windows: The number of windows.
        flagged: The number of those that are flagged.
        incomplete: The number of those with missing values.
        events: The events, in the order of time.
    """

    name: str
    channel_names: tuple[str, ...]
    parts: Iterable[Columns] = ()
    time_zone: str | None = None
    windows: int = 0
    flagged: int = 0
    incomplete: int = 0
    events: list[Event] = field(default_factory=list)

    @classmethod
    def score(
        cls, scorer: Scorer, source: Source, plan: WindowPlan, rule: MergeRule, step_threshold: float | None = None
    ) -> "RecordingTable":
        """Scores a recording while the parts are read, in constant memory.

        Args:
            scorer: A fitted detector, or a client.
            source: The recording.
            plan: How it is cut into windows.
            rule: How flagged windows form events.
            step_threshold: If given, the table has a row for each time step, which is flagged if its score reaches it.

        Returns:
            The table. Reading its parts raises DataError if the recording cannot be read, or is too short.
        """
        table = cls(source.name, source.channel_names, time_zone=source.time_zone)
        table.parts = table._score(scorer, source, plan, rule, step_threshold)
        return table

    def _score(
        self, scorer: Scorer, source: Source, plan: WindowPlan, rule: MergeRule, step_threshold: float | None
    ) -> Iterator[Columns]:
        members = getattr(scorer, "members_", ())  # the parts of the score of a server have no names
        finder, by_step = EventFinder(self.name, rule, self.channel_names, members), StepScores(plan.steps)
        for batch in score_windows(scorer, read_windows(source, plan)):
            decisions = batch.decisions if members else replace(batch.decisions, members=None)
            self.windows += len(batch.windows)
            self.flagged += int(decisions.is_anomaly.sum())
            self.incomplete += int((~batch.valid).sum())
            self.events += finder.update(decisions)
            if step_threshold is None:
                yield _window_columns(batch)
            elif columns := by_step.update(batch.windows, decisions.score):
                yield _step_columns(columns, step_threshold)
        self.events += finder.finish()
        if step_threshold is not None:
            yield _step_columns(by_step.finish(), step_threshold)


def _window_columns(batch: ScoredWindows) -> Columns:
    found = batch.decisions
    columns = {
        "first_row": found.first_row,
        "last_row": found.last_row,
        "start": found.start,
        "end": found.end,
        "score": found.score,
        "p_value": found.p_value,
        "is_anomaly": found.is_anomaly,
        "valid": batch.valid,
        "health": found.health,
        "label": batch.windows.label,
    }
    return {name: values for name, values in columns.items() if values is not None}


def _step_columns(columns: Columns, threshold: float) -> Columns:
    return {**columns, "is_anomaly": is_abnormal(columns["score"], threshold)}
