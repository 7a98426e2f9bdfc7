"""Threshold and metrics against values worked out by hand and scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, average_precision_score, precision_score, recall_score, roc_auc_score

from amsl_tf.evaluation import evaluate, flagged_by
from amsl_tf.threshold import is_abnormal, percentile_threshold


def test_threshold():
    assert percentile_threshold(np.arange(101.0), 98.0) == 98.0
    assert is_abnormal(np.array([0.9, 1.0, 1.1]), 1.0).tolist() == [False, True, True]


def test_threshold_of_groups():
    """Percentiles of 0..100, 100..200 and 1000..1100: the odd group does not raise the threshold of the others."""
    scores = np.concatenate([np.arange(101.0), np.arange(101.0) + 100, np.arange(101.0) + 1000])
    assert percentile_threshold(scores, 98.0, np.repeat(["a", "b", "c"], 101)) == 198.0


def test_small_groups_are_taken_together(rng):
    """One window in a group is no percentile of it: the median of them would flag half of all windows."""
    scores = rng.normal(size=500)
    assert percentile_threshold(scores, 98.0, np.arange(500)) == percentile_threshold(scores, 98.0)
    some = np.concatenate([np.zeros(400), np.arange(1, 101)])
    assert percentile_threshold(scores, 98.0, some) == percentile_threshold(scores[:400], 98.0)


def test_by_hand():
    """6 normal windows, 2 of them flagged; 4 abnormal ones, 3 of them flagged."""
    scores = np.array([0, 1, 2, 3, 6, 7, 4, 6, 8, 9.0])
    abnormal = np.array([False] * 6 + [True] * 4)
    metrics = evaluate(scores, abnormal, threshold=5.0)
    precision, recall = (4 / 5 + 3 / 5) / 2, (4 / 6 + 3 / 4) / 2
    assert metrics["precision"] == pytest.approx(precision)
    assert metrics["recall"] == pytest.approx(recall)
    assert metrics["f1"] == pytest.approx(2 * precision * recall / (precision + recall))
    assert metrics["accuracy"] == pytest.approx(0.7)
    assert metrics["precision_abnormal"] == pytest.approx(3 / 5)
    assert metrics["recall_normal"] == pytest.approx(4 / 6)
    # 24 pairs: the abnormal 4, 6, 8, 9 beat 4, 4 and a tie, 6, 6 of the normal ones
    assert metrics["auroc"] == pytest.approx((4 + 4.5 + 6 + 6) / 24)


def test_against_scikit_learn(rng):
    scores, abnormal = rng.normal(size=200), rng.uniform(size=200) < 0.3
    metrics, flagged = evaluate(scores, abnormal, 0.5), scores >= 0.5
    assert metrics["accuracy"] == pytest.approx(accuracy_score(abnormal, flagged))
    assert metrics["precision"] == pytest.approx(precision_score(abnormal, flagged, average="macro"))
    assert metrics["recall"] == pytest.approx(recall_score(abnormal, flagged, average="macro"))
    assert metrics["auroc"] == pytest.approx(roc_auc_score(abnormal, scores))
    assert metrics["average_precision"] == pytest.approx(average_precision_score(abnormal, scores))


def test_nothing_flagged():
    metrics = evaluate(np.array([0.0, 1.0]), np.array([False, True]), threshold=5.0)
    assert metrics["recall"] == 0.5
    assert metrics["precision_abnormal"] == 0.0


def test_shares_by_label():
    labels = np.array(["p1", "p1", "p1", "p2"])
    table = flagged_by(labels, np.array([1.0, 9.0, 9.0, 9.0]), np.array([False, False, True, True]), threshold=5.0)
    assert table == {
        "p1": {"normal": {"windows": 2, "flagged": 0.5}, "abnormal": {"windows": 1, "flagged": 1.0}},
        "p2": {"abnormal": {"windows": 1, "flagged": 1.0}},
    }
