"""The events benchmark: what a user of `amsl fit` and `amsl score` gets on the development series of SKAB and SMD.

A detector is fitted to the training recording of each series, and finds the events of the test recording, which are compared
with the labelled ones. A series is stored in a JSON file and is not repeated once it is there.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np

from amsl_tf.data.files import locked, read_json, write_json
from amsl_tf.datasets.series import Series
from amsl_tf.errors import AMSLError
from amsl_tf.evaluation.volume import find_ranges
from amsl_tf.scoring.recording_scores import RecordingScores
from benchmarks.pages import Section
from benchmarks.rows import markdown_table
from benchmarks.series import read_experiments

SECTION = Section("events", "events")
PAGES = ("docs/series.md", "RESULTS.md")
DATASETS = ("skab", "smd")
DAY = 86_400
BUDGET = "1/day"
SHARE, ALERTS = SETTINGS = ("share", "alerts")
TITLES = {SHARE: "2 % of windows", ALERTS: "1 event a day, or the smallest budget"}
COLUMNS = (
    "data set",
    "threshold",
    "series",
    "labelled events",
    "found",
    "false events",
    "normal time, days",
    "false events a day",
    "delay, median",
    "90th percentile",
)


def run(data: Path, results: Path, tables: Path) -> None:
    """Measures the series without a result, and writes the table.

    Args:
        data: The folder with a folder for each data set.
        results: The JSON file.
        tables: The folder of docs/series.md and RESULTS.md.

    Raises:
        AMSLError: A data set is missing or broken, or a page lacks the marker lines of the table.
    """
    for page in PAGES:
        SECTION.split(tables / page)  # before anything is measured
    found = read_results(results)
    sets = [item for item in read_experiments()[0] if item.name in DATASETS]
    with locked(results.parent / "events"):
        for item in sets:
            dataset = item.open(data)
            for name in item.select(dataset.names(), "development"):
                if name in (stored := found.setdefault(item.name, {})):
                    continue
                stored[name] = measure(dataset.read_series(name), dataset.window_shape[0], dataset.sampling_rate)
                print(f"{item.title}, {name}: {stored[name]}", file=sys.stderr, flush=True)
                write_json(results, found)
    text = write_table(found)
    for page in PAGES:
        SECTION.replace(tables / page, text)
    print(f"{text}\nresults: {results}\ntables:  {', '.join(str(tables / page) for page in PAGES)}")


def read_results(file: Path) -> dict[str, Any]:
    """Reads the stored results; none if there is no file."""
    return read_json(file, f"Remove {file} and run it again.") if file.exists() else {}


def measure(series: Series, steps: int, rate: float | None) -> dict[str, Any]:
    """Fits a detector and compares its events with the labelled ones, at the default threshold and at a budget of alarms.

    Args:
        series: The series; its training recording is normal.
        steps: T, the length of a window.
        rate: The sampling rate in Hz, for recordings without times.

    Returns:
        The result of `compare` for each of `SETTINGS`.
    """
    from amsl_tf.detector import AMSLDetector

    detector = AMSLDetector().fit_recordings(series.train, window=steps, rate=rate if series.train.time is None else None)
    period = detector.preparation_.period
    assert period is not None
    assert series.test.label is not None
    found = {}
    for name in SETTINGS:
        if name == ALERTS:
            try:
                detector.set_alert_budget(BUDGET)
            except AMSLError:  # a short recording resolves less
                detector.set_alert_budget(detector.normal_scores().smallest_budget())
        scores = detector.score_recording(series.test, explain=False)
        found[name] = compare(scores, series.test.label, series.test.first_row, period)
    return found


def compare(scores: RecordingScores, label: np.ndarray, first_row: int, period: float) -> dict[str, Any]:
    """Compares the events of a recording with the labelled ones.

    Args:
        scores: The scores and events.
        label: int (rows,), 1 for abnormal rows.
        first_row: The row of `scores` to which the first label belongs.
        period: The seconds between rows.

    Returns:
        The number of `labelled` events, of those `found`, which a flagged window overlaps, and of `false` events, which overlap
        no labelled one; the `normal_seconds`; and the `delays` in seconds from the beginning of each event found to the last
        row of the first flagged window that overlaps it, as from then on it can be known.
    """
    starts, ends = find_ranges(label == 1)
    starts, ends = starts + first_row, ends + first_row
    events = [(event.first_row, event.last_row) for event in scores.events]
    is_false = [not ((starts <= last) & (ends >= first)).any() for first, last in events]
    delays = []
    for start, end in zip(starts, ends, strict=True):
        overlaps = scores.is_anomaly & (scores.first_row <= end) & (scores.last_row >= start)
        if overlaps.any():
            delays.append(float(scores.last_row[overlaps].min() - start) * period)
    return {
        "labelled": len(starts),
        "found": len(delays),
        "false": int(sum(is_false)),
        "normal_seconds": float((label == 0).sum() * period),
        "delays": delays,
    }


def write_table(found: dict[str, Any]) -> str:
    """Writes the table of stored results."""
    titles = {item.name: item.title for item in read_experiments()[0]}
    rows = [
        [titles[name], TITLES[setting], *_cells([own[setting] for own in found[name].values()])]
        for name in DATASETS
        if name in found
        for setting in SETTINGS
    ]
    return f"""## Events

The default detector is fitted to the training recording of each development series as `amsl fit` does, with the window length
of the data set, and scores the test recording with windows that begin every quarter of a window. An event is a run of flagged
windows that overlap or touch. It is false if it overlaps no labelled event; a labelled event is found if a flagged window
overlaps it. Delay: from its beginning to the last row of the first such window. Thresholds: 2 % of the held-out normal windows,
the default; and a budget of one event a day, or the smallest that the training recording resolves, one event in its duration
(SKAB: in 400 s or less).

{markdown_table(COLUMNS, rows)}"""


def _cells(series: list[dict[str, Any]]) -> list[str]:
    totals = {key: sum(own[key] for own in series) for key in ("labelled", "found", "false", "normal_seconds")}
    delays = [delay for own in series for delay in own["delays"]]
    days = totals["normal_seconds"] / DAY
    shown = [f"{np.percentile(delays, percent) / 60:.1f} min" for percent in (50, 90)] if delays else ["", ""]
    counts = [str(len(series)), str(totals["labelled"]), str(totals["found"]), str(totals["false"])]
    return [*counts, f"{days:.2f}", f"{totals['false'] / days:.1f}", *shown]
