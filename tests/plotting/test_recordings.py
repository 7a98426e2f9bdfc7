"""Figures of recordings."""

from dataclasses import replace

import matplotlib.dates
import numpy as np
import pytest

from amsl_tf.data.recordings import Recording
from amsl_tf.plotting.recordings import find_gaps, find_spanned, has_times, recording, worst_channels
from amsl_tf.plotting.style import png
from tests.evaluation.report.test_recording import make_scores
from tests.plotting.conftest import text_of


def test_worst_channels_have_the_largest_sum_over_events():
    """`make_scores` gives the channels 3, 1.5, 1 and 0.75 in turn, 3 to the first in event 0 and to the third in event 2."""
    _, scores = make_scores()
    events = [scores.events[0], scores.events[2]]
    assert worst_channels(events, scores.channel_names, 2) == [0, 2]
    assert worst_channels([], scores.channel_names, 2) == [0, 1]


def test_gaps_are_longer_than_one_and_a_half_usual_steps():
    seconds = np.array([0, 1, 2, 3.5, 5.2, 6.2])
    dates = np.datetime64("2024-01-01", "ns") + (1e9 * seconds).astype("m8[ns]")
    for places, step in ((seconds, 1), (dates, 1e9)):
        gaps, usual = find_gaps(places)
        assert gaps.tolist() == [False, False, False, False, True, False]
        assert usual == step
    gaps, usual = find_gaps(np.array([0, 0, 0, 1, 1, 1, 2, 2, 2]))  # of a coarse clock
    assert not gaps.any()
    assert usual == 1
    assert find_gaps(seconds[:1])[0].tolist() == [False]


def test_a_step_that_a_window_spans_is_no_gap():
    """Windows of rows 2 to 4 and 3 to 5 span the steps before rows 3, 4 and 5; the part begins at row 1."""
    values = Recording(np.zeros((7, 1)), "part", first_row=1)
    _, scores = make_scores()
    scores = replace(scores, first_row=np.array([2, 3]), last_row=np.array([4, 5]))
    spanned = find_spanned(values, scores)
    assert spanned.tolist() == [False, False, True, True, True, False, False]
    gaps, usual = find_gaps(np.array([0.0, 1, 4, 5, 6, 7, 10]), spanned)
    assert gaps.tolist() == [False] * 6 + [True]
    assert usual == 1


@pytest.mark.parametrize("fault", ["missing", "falls"])
def test_times_that_cannot_be_drawn_over(fault):
    values, scores = make_scores(has_times=True)
    assert has_times(values, scores)
    values.time[100] = np.datetime64("NaT") if fault == "missing" else values.time[0]
    assert not has_times(values, scores)
    assert "row" in text_of(recording(values, scores))


def test_recording_shows_score_channels_events_and_range(tmp_path):
    values, scores = make_scores(channels=6)
    limits = np.stack([np.arange(6) - 9, np.arange(6) + 9])
    figure = recording(values, scores, limits)
    score_axis, *channels = figure.axes
    assert len(channels) == 4
    worst = worst_channels(scores.events, scores.channel_names, 4)
    for axis, channel in zip(channels, worst, strict=True):
        line, low, high = axis.lines
        np.testing.assert_array_equal(line.get_ydata(), np.insert(values.x[:, channel], 2000, np.nan))
        assert [low.get_ydata()[0], high.get_ydata()[0]] == [channel - 9, channel + 9]
    score, threshold = score_axis.lines
    assert threshold.get_ydata()[0] == 3.5
    drawn = np.asarray(score.get_ydata())
    assert np.flatnonzero(np.isnan(drawn)).tolist() == [0, 1 + np.flatnonzero(scores.starts)[1]]
    np.testing.assert_array_equal(drawn[~np.isnan(drawn)], scores.score)
    (shades,) = score_axis.collections
    bounds = [path.get_extents().intervalx for path in shades.get_paths()]
    np.testing.assert_allclose(bounds, [matplotlib.dates.date2num([event.start, event.end]) for event in scores.events])
    assert "time (Europe/Berlin)" in text_of(figure)
    assert "channel 0" in text_of(figure)
    assert png(figure).startswith(b"\x89PNG")


def test_recording_without_times_events_and_range():
    values, scores = make_scores(channels=2, events=0, has_times=False)
    figure = recording(values, scores)
    assert len(figure.axes) == 3
    assert [len(axis.lines) for axis in figure.axes] == [2, 1, 1]
    assert not figure.axes[0].collections
    assert figure.axes[0].lines[0].get_xdata()[1] == 19.5
    assert "row" in text_of(figure)
