"""Scoring recordings: tables of windows or time steps, and events."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from amsl_tf import progress
from amsl_tf.data.channel_states import name_states
from amsl_tf.data.outputs import write_table
from amsl_tf.data.recordings import Recordings
from amsl_tf.data.skipped import Skipped, none_usable
from amsl_tf.data.time_zones import convert_times
from amsl_tf.data.window_reader import WindowPlan
from amsl_tf.errors import AMSLError, DataError
from amsl_tf.scoring.events import Event, MergeRule, events_table
from amsl_tf.scoring.recording_scores import Scorer
from amsl_tf.scoring.recording_table import Columns, RecordingTable

TIMES = ("start", "end", "time")  # columns of tables


class ScoringResult(NamedTuple):
    """What was found in recordings.

    Attributes:
        windows: The number of windows.
        flagged: The number of those that are flagged.
        incomplete: The number of those with missing values.
        names: The names of the recordings, in order.
        events: The events of each recording, in order.
        time_zones: The time zone of each recording, or None.
        skipped: The recordings that were left out.
    """

    windows: int
    flagged: int
    incomplete: int
    names: list[str]
    events: list[list[Event]]
    time_zones: list[str | None]
    skipped: list[Skipped]


def score_recordings(
    scorer: Scorer,
    recordings: Recordings,
    plan: WindowPlan,
    *,
    rule: MergeRule | None = None,
    output: Path | None = None,
    events_file: Path | None = None,
    step_threshold: float | None = None,
    skipped: list[Skipped] | None = None,
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
        skipped: The recordings that were left out when they were opened; those that cannot be scored are added. If None, such
            a recording is an error. The table of a recording is held in memory until it is known to be complete.

    Returns:
        The counts and the events.

    Raises:
        AMSLError: A recording cannot be read or does not fit the detector, or a table cannot be written.
    """
    bad: list[Skipped] = [] if skipped is None else skipped

    def tables() -> Iterator[RecordingTable]:
        with progress.bar(None, "scoring", "windows") as bar:
            for position, source in zip(recordings.positions, recordings, strict=True):
                table = RecordingTable.score(scorer, source, plan, rule or MergeRule(), step_threshold)
                table.parts = _count(table, table.parts, bar)
                if skipped is not None:
                    try:
                        table.parts = list(table.parts)
                    except DataError as error:
                        bad.append(Skipped(position, source.name, str(error)))
                        continue
                yield table

    zones = {source.time_zone for source in recordings}
    many = recordings.given > 1
    return write_scores(tables(), zones, many=many, output=output, events_file=events_file, skipped=bad)


def _count(table: RecordingTable, parts: Iterable[Columns], bar: Any) -> Iterator[Columns]:
    """Yields the parts of a table, with a progress bar of its windows."""
    done = 0
    for part in parts:
        bar.update(table.windows - done)
        done = table.windows
        yield part


def write_scores(
    tables: Iterable[RecordingTable],
    zones: Collection[str | None],
    *,
    many: bool,
    output: Path | None = None,
    events_file: Path | None = None,
    skipped: Sequence[Skipped] = (),
) -> ScoringResult:
    """Writes the tables of recordings, and that of their events, completely or not at all.

    Args:
        tables: The scores of each recording.
        zones: The time zones of the recordings; times are in UTC if there are several.
        many: Whether the table has a column for the name of the recording.
        output: The table to write, or None.
        events_file: The table of events to write, or None.
        skipped: The recordings that were left out, complete once all tables are read.

    Raises:
        AMSLError: The recordings have different columns or kinds of times, none is left, or a table cannot be written.
    """
    zone = next(iter(zones)) if len(zones) == 1 else "UTC"
    totals = dict.fromkeys(("windows", "flagged", "incomplete"), 0)
    names: list[str] = []
    events: list[list[Event]] = []
    time_zones: list[str | None] = []

    def parts() -> Iterator[dict[str, Any]]:
        for table in tables:
            for part in table.parts:
                yield _named(table, part, zone, many)
            for name in totals:
                totals[name] += getattr(table, name)
            names.append(table.name)
            events.append(table.events)
            time_zones.append(table.time_zone)
        if not names:
            raise none_usable(len(skipped), min(skipped).reason)
        if events_file is not None:  # before `output` is complete: both tables are written, or none
            rows = [event for found in events for event in found]
            write_table(events_file, [events_table(rows, time_zone=zone)])

    if output is not None:
        write_table(output, _check_equal(parts(), output))
    else:
        for _ in parts() if events_file is None else _check_equal(parts(), events_file, TIMES):
            pass
    return ScoringResult(**totals, names=names, events=events, time_zones=time_zones, skipped=sorted(skipped))


def _named(table: RecordingTable, columns: Columns, zone: str | None, many: bool) -> dict[str, Any]:
    """Returns the columns of a part as users read them."""
    rows = len(columns["score"])
    named: dict[str, Any] = {"file": np.repeat(table.name, rows)} if many else {}
    named |= columns
    for name in {*TIMES} & {*named}:
        # a recording without a time zone keeps its times as they are
        named[name] = convert_times(named[name], None if table.time_zone is None else zone)
    if "health" in named:
        named["health"] = name_states(named["health"], table.channel_names)
    return named


def _check_equal(parts: Iterator[dict[str, Any]], file: Path, names: Collection[str] | None = None) -> Iterator[dict[str, Any]]:
    """Checks that all recordings have the same columns, or those of some names, and the same kind of times."""
    first: dict[str, Any] | None = None
    for part in parts:
        found = {name: part[name].dtype if name in TIMES else None for name in part if names is None or name in names}
        first = found if first is None else first
        if list(found) != list(first):
            other = ", ".join(sorted({*found} ^ {*first}))
            raise AMSLError(f"{file}: only some recordings have {other}. Score recordings with and without it separately.")
        if found != first:
            kinds = " and ".join(str(next(filter(None, columns.values()))) for columns in (first, found))
            raise AMSLError(f"{file}: expected the same kind of times in all recordings, found {kinds}. Score them separately.")
        yield part
