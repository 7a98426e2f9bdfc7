"""Scores of the windows and of the time steps of recordings, batch by batch."""

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amsl_tf.data import window_reader
from amsl_tf.data.channel_states import DEAD
from amsl_tf.data.rows import Rows
from amsl_tf.data.window_reader import cut
from amsl_tf.evaluation.time_steps import to_time_steps
from amsl_tf.scoring.events import MergeRule
from amsl_tf.scoring.recording_scores import RecordingScores, StepScores, score_windows

STEPS = 4
NAMES = ("x", "y")


def read(count, stride, starts=(), times=False, labels=False, steps=STEPS):
    """Reads windows of rows whose first channel is their number; rows are counted from 100."""
    row = np.arange(count)
    x = np.stack([row, np.zeros(count)], axis=1)
    label = (row == 6).astype(np.int8) if labels else None
    return cut([Rows(x, row + 100, row / 2 if times else None, label, np.isin(row, [0, *starts]))], steps, stride)


def by_step(batches, scores, steps=STEPS):
    """Computes the scores of time steps, and joins their columns."""
    found, parts, first = StepScores(steps), [], 0
    for batch in batches:
        parts.append(found.update(batch, scores[first : first + len(batch)]))
        first += len(batch)
    parts = [part for part in (*parts, found.finish()) if part]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[-1]}


def test_steps_by_hand():
    """Windows at rows 0 and 2 of the first segment, and at 7 of the second, from which rows 6 and 11 are left over."""
    found = by_step(read(12, 2, [7], times=True), np.array([1, 3, 8], np.float32))
    assert found["row"].tolist() == [100, 101, 102, 103, 104, 105, 107, 108, 109, 110]
    assert found["time"].tolist() == [0, 0.5, 1, 1.5, 2, 2.5, 3.5, 4, 4.5, 5]
    assert found["score"].tolist() == [1, 1, 2, 2, 3, 3, 8, 8, 8, 8]
    assert found["score"].dtype == np.float32


def test_steps_without_a_score():
    found = by_step(read(8, 2), np.array([1, np.nan, 5], np.float32))
    np.testing.assert_array_equal(found["score"], [1, 1, np.nan, np.nan, np.nan, np.nan, 5, 5])
    assert "time" not in found


def test_rows_between_windows_are_missing():
    found = by_step(read(14, 5), np.array([1, 2, 3], np.float32))
    assert found["row"].tolist() == [100, 101, 102, 103, 105, 106, 107, 108, 110, 111, 112, 113]
    assert found["score"].tolist() == [1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3]


def test_steps_are_returned_as_soon_as_they_are_complete():
    found = StepScores(STEPS)
    (batch,) = read(12, 2)
    assert found.update(batch[[0]], np.array([1.0])) == {}
    assert found.update(batch[[1]], np.array([2.0]))["row"].tolist() == [100, 101]
    assert found.update(batch[[2, 3]], np.array([3.0, 4]))["row"].tolist() == [102, 103, 104, 105]
    assert found.finish()["row"].tolist() == [106, 107, 108, 109]


@settings(max_examples=60, deadline=None)
@given(
    count=st.integers(8, 60),
    stride=st.integers(1, 9),
    starts=st.lists(st.integers(1, 59), max_size=3),
    size=st.integers(1, 7),
    seed=st.integers(0, 10**6),
)
def test_steps_are_those_of_the_evaluation(count, stride, starts, size, seed):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(window_reader, "BATCH", size)
        batches = list(read(count, stride, starts, times=True))
    rows = np.concatenate([batch.rows[:, 0] for batch in batches]) - 100 if batches else np.empty(0, int)
    if not len(rows):
        return
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=len(rows)).astype(np.float32)
    scores[rng.random(len(rows)) < 0.1] = np.nan
    found = by_step(batches, scores)
    covered = np.unique(rows[:, None] + np.arange(STEPS))
    assert found["row"].tolist() == (100 + covered).tolist()
    np.testing.assert_array_equal(found["time"], covered / 2)
    expected = to_time_steps(scores, rows, STEPS, count)[covered]
    np.testing.assert_allclose(found["score"], expected, rtol=1e-5, atol=1e-6)


class Explanation(NamedTuple):
    channels: np.ndarray
    members: np.ndarray


class Scorer:
    """Scores windows by the number of their first row, in channel 0, and flags those from a threshold on."""

    window_shape = (STEPS, 2)
    to_dict = False

    def __init__(self, threshold=10.0):
        self.threshold, self.explained = threshold, []

    def detect(self, windows):
        score = windows[:, 0, 0].astype(np.float32)
        health = np.zeros((len(windows), 2), np.int32)
        health[:, 1] = DEAD * (score == 12)
        return {"score": score, "is_anomaly": score >= self.threshold, "valid": score != 0, "health": health}

    def explain(self, windows):
        self.explained += windows[:, 0, 0].tolist()
        found = Explanation(windows[:, 0] + [0, 1], windows[:, 0, :1] / 10)
        return found._asdict() if self.to_dict else found


class Detector(Scorer):
    def to_p_values(self, scores):
        return 1 / (1 + scores.astype(np.float64))


def collect(scorer, batches, rule=None, **options):
    return RecordingScores.collect(
        score_windows(scorer, batches, **options),
        name="a.csv",
        channel_names=NAMES,
        time_zone="UTC",
        threshold=scorer.threshold,
        rule=rule or MergeRule(),
        members=("latent",),
    )


def test_only_flagged_windows_are_explained(monkeypatch):
    monkeypatch.setattr(window_reader, "BATCH", 2)
    scorer = Scorer()
    scored = list(score_windows(scorer, read(20, 2)))
    assert [len(batch.windows) for batch in scored] == [2, 2, 2, 2, 1]
    assert scorer.explained == [10, 12, 14, 16]
    assert [batch.decisions.channels is None for batch in scored] == [True, True, False, False, False]
    assert scored[0].valid.tolist() == [False, True]
    assert scored[0].decisions.p_value is None
    scorer = Scorer()
    assert all(batch.decisions.channels is None for batch in score_windows(scorer, read(20, 2), explain=False))
    assert not scorer.explained


@pytest.mark.parametrize("size", [1, 2, 64])
@pytest.mark.parametrize("to_dict", [False, True])
def test_collected_scores_and_events(size, to_dict, monkeypatch):
    """Windows at rows 0, 2, ..., 12 of the first segment, of which the last two are flagged, and at 17, 19 and 21."""
    monkeypatch.setattr(window_reader, "BATCH", size)
    monkeypatch.setattr(Scorer, "to_dict", to_dict)
    found = collect(Detector(), read(25, 2, [17], times=True, labels=True))
    assert found.first_row.tolist() == [100, 102, 104, 106, 108, 110, 112, 117, 119, 121]
    assert found.last_row.tolist() == (found.first_row + 3).tolist()
    assert found.start.tolist() == ((found.first_row - 100) / 2).tolist()
    assert found.end.tolist() == ((found.first_row - 97) / 2).tolist()
    assert found.score.tolist() == (found.first_row - 100).tolist()
    assert found.is_anomaly.tolist() == [False] * 5 + [True] * 5
    assert found.starts.tolist() == [True] + [False] * 6 + [True, False, False]
    assert found.label.tolist() == [0, 0, 1, 1, 0, 0, 0, 0, 0, 0]
    assert found.health[:, 1].tolist() == [0] * 6 + [DEAD, 0, 0, 0]
    np.testing.assert_allclose(found.p_value, 1 / (found.first_row - 99))
    assert (found.name, found.channel_names, found.time_zone, found.threshold) == ("a.csv", NAMES, "UTC", 10)
    first, second = found.events  # they would touch but for the gap
    assert (first.first_row, first.last_row, first.start, first.end, first.windows) == (110, 115, 5, 7.5, 2)
    assert (second.first_row, second.last_row, second.start, second.end, second.windows) == (117, 124, 8.5, 12, 3)
    assert (first.channels, first.members, first.health) == ({"x": 11, "y": 1}, {"latent": pytest.approx(1.1)}, {"y": "dead"})
    assert (first.peak_score, first.peak_row, first.p_value) == (12, 112, pytest.approx(1 / 13))
    assert second.channels == {"x": 19, "y": 1}


def test_rules_and_recordings_without_times():
    found = collect(Scorer(), read(25, 2, [17]), MergeRule(min_windows=3))
    assert [event.first_row for event in found.events] == [117]
    assert (found.start, found.end, found.p_value, found.label, found.events[0].start) == (None,) * 5
    assert found.events[0].duration == 8
    assert np.isnan(found.events[0].p_value)
    assert not collect(Scorer(99), read(25, 2)).events
    assert collect(Scorer(), read(25, 2), explain=False).events[0].channels == {}
