"""Figures of recordings: the score and the channels over time, with events."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

from amsl_tf.data.recordings import Recording
from amsl_tf.plotting.style import ABNORMAL, INK, NORMAL, panels, shorten, styled
from amsl_tf.scoring.events import Event
from amsl_tf.scoring.recording_scores import RecordingScores

MAX_CHANNELS = 4
LONG = 1.5  # usual steps; a longer step is a gap


def worst_channels(events: Sequence[Event], names: Sequence[str], count: int) -> list[int]:
    """Returns the channels with the largest contributions over all events.

    Args:
        events: The events.
        names: The names of the channels.
        count: The number of channels to return, at most.

    Returns:
        Positions in `names`, the largest contribution first; channels without any follow in their order.
    """
    sums = dict.fromkeys(names, 0.0)
    for event in events:
        for name, contribution in event.channels.items():
            sums[name] += contribution * event.windows
    return sorted(range(len(names)), key=lambda place: -sums[names[place]])[:count]


def find_gaps(places: np.ndarray, is_spanned: np.ndarray | None = None) -> tuple[np.ndarray, float]:
    """Finds steps longer than `LONG` times the usual step, the median of those that are not 0.

    Args:
        places: (n,), times or rows that do not fall.
        is_spanned: bool (n,), whether a window spans the step before each place, so that it is no gap; None if unknown.

    Returns:
        Whether a gap lies before each place, bool (n,), and the usual step, in nanoseconds for dates; 1 without a step.
    """
    steps = np.diff(places).astype(np.float64)
    usual = float(np.median(steps[steps > 0])) if steps.any() else 1.0
    gaps = np.append(False, steps > LONG * usual)
    return gaps if is_spanned is None else gaps & ~is_spanned, usual


def find_spanned(recording: Recording, scores: RecordingScores) -> np.ndarray:
    """Returns whether a window spans the step before each row of a recording, bool (n,)."""
    changes = np.zeros(len(recording) + 1, int)
    for rows, change in ((scores.first_row, 1), (scores.last_row, -1)):
        np.add.at(changes, np.clip(rows + 1 - recording.first_row, 0, len(recording)), change)
    return np.cumsum(changes)[:-1] > 0


def has_times(recording: Recording, scores: RecordingScores) -> bool:
    """Returns whether a recording can be drawn over time: it has times, none is missing, and they do not fall."""
    time = recording.time
    return time is not None and scores.start is not None and bool((time == time).all() and (time[1:] >= time[:-1]).all())


@styled
def recording(recording: Recording, scores: RecordingScores, normal_range: np.ndarray | None = None) -> Figure:
    """Draws the score of a recording over time, and the channels with the largest contributions, with events shaded.

    Args:
        recording: The recording.
        scores: Its scores.
        normal_range: (2, C), the lowest and the highest value of each channel in the training data, in the units of the
            recording; None if unknown.

    Returns:
        The figure, over rows if times are missing or fall.
    """
    by_time = has_times(recording, scores)
    places: Any = recording.time if by_time else recording.first_row + np.arange(len(recording))
    first: Any = scores.start if by_time else scores.first_row
    last: Any = scores.end if by_time else scores.last_row
    shown = worst_channels(scores.events, scores.channel_names, MAX_CHANNELS)
    figure, axes = panels(1 + len(shown), height=1.15 * (1 + len(shown)) + 0.7, sharex=True, squeeze=False)
    score_axis, *channel_axes = axes[:, 0]
    gaps, _ = find_gaps(places, find_spanned(recording, scores))
    middle = first + (last - first) / 2
    score = np.where(np.isfinite(scores.score), scores.score, np.nan)
    score_axis.plot(*_with_gaps(middle, score, scores.starts), color=INK, linewidth=0.8, label="score")
    score_axis.axhline(scores.threshold, color=ABNORMAL, linestyle="--", linewidth=1, label="threshold")
    score_axis.set_title(f"{shorten(scores.name)}: score of windows", fontsize=9)
    for axis, channel in zip(channel_axes, shown, strict=True):
        axis.plot(*_with_gaps(places, recording.x[:, channel], gaps), color=INK, linewidth=0.6)
        if normal_range is not None:
            for limit in normal_range[:, channel]:
                axis.axhline(limit, color=NORMAL, linestyle=":", linewidth=1, label="normal range")
        axis.set_title(shorten(scores.channel_names[channel]), fontsize=9)
    bounds = [(event.start, event.end) if by_time else (event.first_row, event.last_row) for event in scores.events]
    spans = [(begin, end - begin) for begin, end in bounds]
    for axis in axes[:, 0] if spans else ():
        settings = {"transform": axis.get_xaxis_transform(), "color": ABNORMAL, "alpha": 0.18}
        axis.broken_barh(spans, (0, 1), linewidth=0.5, label="event", **settings)
    _label_places(axes[-1, 0], places, scores.time_zone)
    handles: dict[str, Any] = {}
    for axis in axes[:2, 0]:
        lines, labels = axis.get_legend_handles_labels()
        handles = dict(zip(labels, lines, strict=True)) | handles
    figure.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=4, fontsize=7.5)
    return figure


def _with_gaps(places: np.ndarray, values: np.ndarray, starts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Inserts NaN before each value that does not continue the one before it, so that lines break there."""
    breaks = np.flatnonzero(starts)
    return np.insert(places, breaks, places[breaks]), np.insert(values, breaks, np.nan)


def _label_places(axis: Axes, places: np.ndarray, time_zone: str | None) -> None:
    """Labels the horizontal axis with rows, seconds, or times in the time zone."""
    if places.dtype.kind == "M":
        zone = pd.DatetimeTZDtype(tz=time_zone or "UTC").tz
        locator = AutoDateLocator(tz=zone, maxticks=6)
        axis.xaxis.set_major_locator(locator)
        axis.xaxis.set_major_formatter(ConciseDateFormatter(locator, tz=zone))
        axis.set_xlabel(f"time ({time_zone})" if time_zone else "time")
    else:
        axis.set_xlabel("row" if places.dtype.kind == "i" else "time in seconds")
