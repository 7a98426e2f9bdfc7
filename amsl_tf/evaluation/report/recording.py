"""The page of one recording: score, events, channels and their health over time, in one HTML file that works offline."""

from pathlib import Path
from typing import Any

import numpy as np

from amsl_tf._version import __version__
from amsl_tf.data.channel_states import HEALTHY, STATES
from amsl_tf.data.files import atomic_file
from amsl_tf.data.recordings import Recording
from amsl_tf.errors import DataError
from amsl_tf.evaluation.report.axis import RecordingAxis
from amsl_tf.evaluation.report.reduction import decimate, find_strips
from amsl_tf.evaluation.report.templates import render
from amsl_tf.plotting.recordings import worst_channels
from amsl_tf.scoring.events import Event
from amsl_tf.scoring.recording_scores import RecordingScores

LIBRARY = Path(__file__).with_name("uplot")  # draws the figures
SCORE_BINS, CHANNEL_BINS, EVENT_BINS = 10_000, 4_000, 600  # two points each: minimum and maximum
CHANNELS, EVENT_CHANNELS, HEALTH_CHANNELS = 8, 3, 50  # shown at most: over the recording, in an event, in the figure of health
SECTIONS, TABLE_ROWS = 20, 1_000  # events shown at most with figures and in the table
CONTRIBUTIONS = 6  # shown at most for each event
PARTS = {  # of the ensemble, in words
    "levels": "the values of the channels",
    "powers": "how strongly they vary, by frequency",
    "kernels": "the shapes of their curves",
}
SKEWED = 100  # times the threshold; the axis of larger scores is logarithmic above the threshold


def write_recording_report(
    file: Path,
    recording: Recording,
    scores: RecordingScores,
    *,
    normal_range: np.ndarray | None,
    detector_name: str,
    title: str = "Recording report",
) -> None:
    """Writes the page of a recording.

    Args:
        file: The file to write or replace.
        recording: The recording.
        scores: Its scores and events.
        normal_range: (2, C), the lowest and the highest value of each channel in the training data, in the units of the
            recording; None if unknown.
        detector_name: The name of the detector, such as its folder.
        title: The title of the page.

    Raises:
        DataError: The scores are those of a recording with other channels.
        AMSLError: The file cannot be written.
    """
    channels = recording.x.shape[1]
    if channels != len(scores.channel_names):
        raise DataError(
            f"{scores.name}: expected the scores of a recording with {channels} channels. Received: scores of "
            f"{len(scores.channel_names)} channels. Score this recording."
        )
    axis = RecordingAxis(recording, scores)
    sections = set(_highest(scores.events, SECTIONS))
    rows = sorted(_highest(scores.events, TABLE_ROWS))
    events = {place: _describe(scores.events[place], axis, scores) for place in rows}
    shown = worst_channels(scores.events, scores.channel_names, CHANNELS)
    unhealthy = np.flatnonzero((scores.health != HEALTHY).any(axis=0))
    shares = {int(channel): _health_shares(scores, channel) for channel in unhealthy}
    strips = sorted(shares, key=lambda channel: -sum(shares[channel].values()))[:HEALTH_CHANNELS]
    data: dict[str, Any] = {
        "axis": axis.json(),
        "score": _score_data(scores, axis),
        "events": [axis.span(event) for event in scores.events],
        "labels": [] if recording.label is None else _strips(recording.label, axis.values, axis.stops, axis),
        "channels": _channel_data(recording, axis, slice(None), shown, CHANNEL_BINS, normal_range),
        "health": [_strips(scores.health[:, channel], axis.first, axis.next, axis) for channel in strips],
        "names": [scores.channel_names[channel] for channel in strips],
        "figures": {
            place: _channel_data(
                recording,
                axis,
                _event_rows(scores.events[place], axis),
                [scores.channel_names.index(name) for name in events[place]["worst"]],
                EVENT_BINS,
                normal_range,
            )
            for place in sorted(sections)
        },
    }
    members = {name for event in scores.events for name in event.members}
    page = render(
        "recording.html.jinja",
        title=title,
        recording=recording,
        scores=scores,
        events=events,
        sections=sections,
        detector_name=detector_name,
        version=__version__,
        axis=axis,
        duration=axis.duration(axis.values[0], axis.values[-1]),
        stride=int(np.median(np.diff(scores.first_row))) if len(scores.first_row) > 1 else axis.window,
        shown=[scores.channel_names[channel] for channel in shown],
        rows_in_bin=-(-len(recording) // CHANNEL_BINS) if len(recording) > 2 * CHANNEL_BINS else 1,
        strips=strips,
        shares=shares,
        states=STATES,
        has_range=normal_range is not None,
        is_skewed=data["score"]["is_skewed"],
        parts={name: words for name, words in PARTS.items() if name in members},
        has_p_values=bool(np.isfinite([event.p_value for event in scores.events]).any()),
        data=data,
        library={name: (LIBRARY / name).read_text("utf-8") for name in ("uPlot.iife.min.js", "uPlot.min.css", "LICENSE")},
    )
    with atomic_file(file) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _highest(events: list[Event], count: int) -> list[int]:
    """Returns the positions of the events with the highest peaks; those without a score are the first."""
    peaks = np.nan_to_num([event.peak_score for event in events], nan=np.inf)
    return np.argsort(-peaks, kind="stable")[:count].tolist()


def _describe(event: Event, axis: RecordingAxis, scores: RecordingScores) -> dict[str, Any]:
    """Returns an event in words.

    Its worst channels are those with the largest contributions, then those with a fault; the latter alone if the score does not
    reach the threshold, so that the faults made the event.
    """
    first, last = axis.bounds(event)
    named = [name for name, contribution in event.channels.items() if contribution > 0]
    reached = event.peak_score >= scores.threshold
    worst = list(dict.fromkeys([*named, *event.health] if reached else event.health or named))[:EVENT_CHANNELS]
    peak = np.searchsorted(scores.first_row, event.peak_row)
    return {
        "start": axis.text(first),
        "end": axis.text(last),
        "duration": axis.duration(first, last),
        "windows": event.windows,
        "peak_score": event.peak_score,
        "peak": axis.text(axis.first[min(peak, len(axis.first) - 1)]),
        "p_value": event.p_value,
        "worst": worst,
        "health": [f"{name} {state}" for name, state in event.health.items()],
        "contributions": {
            "channels": _bars(event.channels, event.peak_score),
            "parts of the score": _bars(event.members, event.peak_score),
        },
    }


def _bars(contributions: dict[str, float], peak_score: float) -> list[tuple[str, float, float]]:
    """Returns the largest contributions: the name, the contribution, and the length of its bar in percent.

    Bars are relative to the peak score or to the contribution furthest from 0, whichever is larger; none is drawn below 0.
    """
    largest = max(abs(value) for value in np.nan_to_num([*contributions.values(), peak_score, 1e-12]))
    found = list(contributions.items())[:CONTRIBUTIONS]
    return [(name, contribution, 100 * max(contribution, 0) / largest) for name, contribution in found]


def _score_data(scores: RecordingScores, axis: RecordingAxis) -> dict[str, Any]:
    """Returns the score over time, at the middle of each window."""
    places, (score,) = decimate((axis.first + axis.last) / 2, scores.score[:, None], scores.starts, SCORE_BINS)
    finite = scores.score[np.isfinite(scores.score)]
    is_skewed = scores.threshold > 0 and finite.max(initial=0) > SKEWED * scores.threshold
    (threshold,) = _significant([scores.threshold])
    return {"x": axis.rounded(places), "y": _significant(score), "threshold": threshold, "is_skewed": bool(is_skewed)}


def _channel_data(
    recording: Recording, axis: RecordingAxis, rows: slice, channels: list[int], bins: int, normal_range: np.ndarray | None
) -> dict[str, Any]:
    """Returns channels over some rows, with the normal range of each."""
    places, values = decimate(axis.values[rows], recording.x[rows][:, channels], axis.starts[rows], bins)
    limits = [None] * len(channels) if normal_range is None else [_significant(normal_range[:, place]) for place in channels]
    return {"x": axis.rounded(places), "y": [_significant(channel) for channel in values], "ranges": limits}


def _event_rows(event: Event, axis: RecordingAxis) -> slice:
    """Returns the rows of an event and as many before and after it, at least a window."""
    first, last = axis.bounds(event)
    start, stop = int(np.searchsorted(axis.values, first)), int(np.searchsorted(axis.values, last, side="right"))
    margin = max(stop - start, axis.window)
    return slice(max(0, start - margin), stop + margin)


def _health_shares(scores: RecordingScores, channel: int) -> dict[str, float]:
    """Returns the share of windows in which a channel has each fault, in percent."""
    counts = np.bincount(scores.health[:, channel], minlength=len(STATES))
    return {STATES[state]: 100 * count / len(scores.health) for state, count in enumerate(counts) if state and count}


def _strips(states: np.ndarray, starts: np.ndarray, stops: np.ndarray, axis: RecordingAxis) -> list[list[float]]:
    """Returns where states other than 0 hold: start, stop and state."""
    first, last, found = find_strips(states, starts, stops)
    return [list(strip) for strip in zip(axis.rounded(first), axis.rounded(last), found.tolist(), strict=True)]


def _significant(values: Any) -> list[float | None]:
    """Rounds numbers to five significant digits; those that are not finite are None."""
    return [float(f"{value:.5g}") if abs(value) < np.inf else None for value in np.asarray(values, np.float64).tolist()]
