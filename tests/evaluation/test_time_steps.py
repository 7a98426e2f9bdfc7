"""Metrics by time step against values by hand and independent libraries."""

import numpy as np
import pytest
from sklearn.metrics import f1_score, precision_score, recall_score

from amsl_tf.errors import DataError
from amsl_tf.evaluation.time_steps import (
    evaluate_time_steps,
    find_period,
    overlaps,
    range_recall,
    to_time_steps,
)


def bits(text):
    return np.array([letter == "1" for letter in text])


def test_scores_of_time_steps_by_hand():
    """Windows of 4 steps at rows 0, 2 and 8 of 13: rows 6 and 7 and the last are not covered."""
    found = to_time_steps(np.array([1.0, 3.0, 7.0]), np.array([0, 2, 8]), 4, 13)
    np.testing.assert_array_equal(found, [1, 1, 2, 2, 3, 3, 3, 7, 7, 7, 7, 7, 7])


def test_missing_scores_reach_only_the_steps_of_their_windows():
    found = to_time_steps(np.array([1.0, np.nan, 5.0]), np.array([0, 2, 4]), 4, 8)
    np.testing.assert_array_equal(found, [1, 1, np.nan, np.nan, np.nan, np.nan, 5, 5])


@pytest.mark.parametrize("stride", [1, 3, 4, 7])
def test_scores_of_time_steps_are_means_over_windows(stride, rng):
    rows = np.arange(0, 47, stride)
    scores = rng.normal(size=len(rows))
    found = to_time_steps(scores, rows, 4, 50)
    for step in range(50):
        inside = (rows <= step) & (step < rows + 4)
        if inside.any():
            assert found[step] == pytest.approx(scores[inside].mean())


def test_windows_outside_of_the_recording_are_an_error():
    for rows in ([7], [-1], []):
        with pytest.raises(DataError, match="within the 10 rows"):
            to_time_steps(np.zeros(len(rows)), np.array(rows, int), 4, 10)


def test_metrics_by_hand():
    """Events at 2-4 and 7-8; flagged 4-5, 7 and 10: both events found, one false alarm, 3 of 5 abnormal steps."""
    truth, flagged = bits("001110011000"), bits("000011010010")
    metrics = evaluate_time_steps(flagged + 0.1 * truth, truth, 1.0, buffer=2, seconds=60)
    assert (metrics["events"], metrics["events_found"], metrics["false_alarms"]) == (2, 2, 1)
    assert metrics["false_alarm_rate"] == pytest.approx(2 / 7)
    assert metrics["false_alarms_per_hour"] == pytest.approx(60 / 7)
    assert metrics["range_recall"] == pytest.approx((1 / 3 + 1 / 2) / 2)
    assert metrics["range_precision"] == pytest.approx((1 / 2 + 1 + 0) / 3)
    assert metrics["f1"] == pytest.approx(2 * 0.5 * 0.4 / 0.9)


def test_metrics_against_scikit_learn(rng):
    truth, scores = np.convolve(rng.uniform(size=500) < 0.02, np.ones(10))[:500] > 0, rng.normal(size=500)
    scores += truth
    metrics = evaluate_time_steps(scores, truth, 0.7, buffer=5)
    flagged = scores >= 0.7
    assert metrics["f1"] == pytest.approx(f1_score(truth, flagged))
    assert metrics["precision"] == pytest.approx(precision_score(truth, flagged))
    assert metrics["recall"] == pytest.approx(recall_score(truth, flagged))
    assert metrics["best_f1"] == pytest.approx(max(f1_score(truth, scores >= level) for level in scores))
    assert "false_alarms_per_hour" not in metrics


def test_nothing_flagged():
    metrics = evaluate_time_steps(np.arange(10.0), np.arange(10) > 7, 99.0, buffer=0)
    assert [metrics[name] for name in ("f1", "precision", "range_precision", "events_found", "false_alarms")] == [0] * 5
    assert metrics["auroc"] == metrics["best_f1"] == metrics["vus_pr"] == 1.0


def test_pieces_of_a_range_count_less():
    assert range_recall(bits("111111"), bits("110011")) == pytest.approx(4 / 6 / 2)
    assert range_recall(bits("1100"), bits("1111")) == 1.0
    assert range_recall(bits("0000"), bits("1111")) == 0.0


def test_overlaps():
    assert overlaps(bits("1101011"), bits("1001110")).tolist() == [1, 1, 1]
    assert overlaps(bits("1111"), bits("1010")).tolist() == [2]
    assert overlaps(bits("0110"), bits("1001")).tolist() == [0]


@pytest.mark.parametrize("period", [7, 40, 250])
def test_period(period, rng):
    steps = np.arange(3000)
    assert find_period(np.sin(2 * np.pi * steps / period) + rng.normal(0, 0.05, 3000)) == pytest.approx(period, abs=1)


def test_series_without_period():
    assert find_period(np.linspace(0, 1, 1000)) == find_period(np.ones(500)) == 125
