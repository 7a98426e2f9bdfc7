"""Scoring recordings: tables of windows or time steps, and events."""

from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from amsl_tf import progress
from amsl_tf.data.channel_states import name_states
from amsl_tf.data.outputs import write_table
from amsl_tf.data.recordings import Recordings
from amsl_tf.data.source import Source
from amsl_tf.data.time_zones import convert_times
from amsl_tf.data.window_reader import WindowPlan, read_windows
from amsl_tf.errors import AMSLError
from amsl_tf.scoring.event_finder import EventFinder
from amsl_tf.scoring.events import Event, MergeRule, events_table
from amsl_tf.scoring.recording_scores import ScoredWindows, Scorer, StepScores, score_windows
from amsl_tf.scoring.threshold import is_abnormal

TIMES = ("start", "end", "time")  # columns of tables


class ScoringResult(NamedTuple):
    """What was found in recordings.

    Attributes:
        windows: The number of windows.
        flagged: The number of those that are flagged.
        incomplete: The number of those with missing values.
        events: The events of each recording, in order.
        time_zones: The time zone of each recording, or None.
    """

    windows: int
    flagged: int
    incomplete: int
    events: list[list[Event]]
    time_zones: list[str | None]


def score_recordings(
    scorer: Scorer,
    recordings: Recordings,
    plan: WindowPlan,
    *,
    rule: MergeRule | None = None,
    output: Path | None = None,
    events_file: Path | None = None,
    step_threshold: float | None = None,
) -> ScoringResult:
    """Scores recordings one after the other in constant memory, and writes tables, completely or not at all.

    Args:
        scorer: A fitted detector, or a client.
        recordings: The recordings.
        plan: How they are cut into windows.
        rule: How flagged windows form events.
        output: The table of windows, .csv or .parquet, or None.
        events_file: The table of events, .csv or .parquet, or None.
        step_threshold: If given, `output` has a row for each time step, which is flagged if its score reaches it.

    Returns:
        The counts and the events.

    Raises:
        AMSLError: A recording cannot be read or does not fit the detector, or a table cannot be written.
    """
    totals = {"windows": 0, "flagged": 0, "incomplete": 0}
    events: list[list[Event]] = []
    zones: list[str | None] = []
    members = getattr(scorer, "members_", ())
    many = len(recordings) > 1
    known = {source.time_zone for source in recordings}
    zone = known.pop() if len(known) == 1 else "UTC"  # of the tables

    def parts() -> Iterator[dict[str, Any]]:
        with progress.bar(None, "scoring", "windows") as bar:
            for source in recordings:
                finder = EventFinder(source.name, rule or MergeRule(), source.channel_names, members)
                found: list[Event] = []
                by_step = StepScores(plan.steps)
                for batch in score_windows(scorer, read_windows(source, plan)):
                    # the parts of the score of a server have no names
                    decisions = batch.decisions if members else replace(batch.decisions, members=None)
                    totals["windows"] += len(batch.windows)
                    totals["flagged"] += int(decisions.is_anomaly.sum())
                    totals["incomplete"] += int((~batch.valid).sum())
                    found += finder.update(decisions)
                    bar.update(len(batch.windows))
                    if step_threshold is None:
                        yield _window_columns(source, batch, zone, many)
                    elif columns := by_step.update(batch.windows, decisions.score):
                        yield _step_columns(source, columns, step_threshold, zone, many)
                found += finder.finish()
                events.append(found)
                zones.append(source.time_zone)
                if step_threshold is not None:
                    yield _step_columns(source, by_step.finish(), step_threshold, zone, many)
        if events_file is not None:  # before `output` is complete: both tables are written, or none
            rows = [event for found in events for event in found]
            write_table(events_file, [events_table(rows, time_zone=zone)])

    if output is not None:
        write_table(output, _check_equal(parts(), output))
    else:
        for _ in parts() if events_file is None else _check_equal(parts(), events_file, TIMES):
            pass
    return ScoringResult(**totals, events=events, time_zones=zones)


def _window_columns(source: Source, batch: ScoredWindows, zone: str | None, has_files: bool) -> dict[str, Any]:
    decisions, windows = batch.decisions, batch.windows
    columns: dict[str, Any] = {"file": np.repeat(source.name, len(windows))} if has_files else {}
    columns |= {"first_row": decisions.first_row, "last_row": decisions.last_row}
    if decisions.start is not None:
        columns |= {name: convert_times(getattr(decisions, name), _zone(source, zone)) for name in ("start", "end")}
    columns["score"] = decisions.score
    if decisions.p_value is not None:
        columns["p_value"] = decisions.p_value
    columns |= {"is_anomaly": decisions.is_anomaly, "valid": batch.valid}
    columns["health"] = name_states(decisions.health, source.channel_names)
    return columns if windows.label is None else {**columns, "label": windows.label}


def _step_columns(
    source: Source, columns: dict[str, np.ndarray], threshold: float, zone: str | None, has_files: bool
) -> dict[str, Any]:
    named: dict[str, Any] = {"file": np.repeat(source.name, len(columns["row"]))} if has_files else {}
    named |= columns
    if "time" in columns:
        named["time"] = convert_times(columns["time"], _zone(source, zone))
    return {**named, "is_anomaly": is_abnormal(columns["score"], threshold)}


def _zone(source: Source, zone: str | None) -> str | None:
    """Returns the time zone of tables, or None for a recording without one."""
    return None if source.time_zone is None else zone


def _check_equal(parts: Iterator[dict[str, Any]], file: Path, names: Collection[str] | None = None) -> Iterator[dict[str, Any]]:
    """Checks that all recordings have the same columns, or those of some names, and the same kind of times."""
    first: dict[str, Any] | None = None
    for part in parts:
        found = {name: part[name].dtype if name in TIMES else None for name in part if names is None or name in names}
        first = first or found
        if list(found) != list(first):
            other = ", ".join(sorted({*found} ^ {*first}))
            raise AMSLError(f"{file}: only some recordings have {other}. Score recordings with and without it separately.")
        if found != first:
            kinds = " and ".join(str(next(filter(None, columns.values()))) for columns in (first, found))
            raise AMSLError(f"{file}: expected the same kind of times in all recordings, found {kinds}. Score them separately.")
        yield part
