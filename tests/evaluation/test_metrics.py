"""Metrics against values computed by hand and by their definitions."""

import numpy as np
import pytest

from amsl_tf.evaluation.metrics import evaluate, flagged_by


def test_values_by_hand():
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
    assert metrics["false_positive_rate"] == pytest.approx(2 / 6)
    assert metrics["threshold"] == 5.0
    # of 24 pairs: the abnormal 4, 6, 8, 9 are above 4, 4 and one tie, 6, 6 of the normal scores
    assert metrics["auroc"] == pytest.approx((4 + 4.5 + 6 + 6) / 24)
    # the precision at each rise of the recall by 1/4: at 9, 8, 6 and 4
    assert metrics["average_precision"] == pytest.approx((1 + 1 + 3 / 5 + 4 / 6) / 4)


def test_values_by_definition(rng):
    scores, abnormal = rng.normal(size=200), rng.uniform(size=200) < 0.3
    metrics, flagged = evaluate(scores, abnormal, 0.5), scores >= 0.5
    assert metrics["accuracy"] == pytest.approx((flagged == abnormal).mean())
    assert metrics["precision"] == pytest.approx((abnormal[flagged].mean() + (~abnormal[~flagged]).mean()) / 2)
    assert metrics["recall"] == pytest.approx((flagged[abnormal].mean() + (~flagged[~abnormal]).mean()) / 2)
    assert metrics["auroc"] == pytest.approx((scores[abnormal][:, None] > scores[~abnormal]).mean())
    ranked = abnormal[np.argsort(-scores)]
    precisions = np.cumsum(ranked) / np.arange(1, 201)
    assert metrics["average_precision"] == pytest.approx(precisions[ranked].mean())


def test_nothing_flagged():
    metrics = evaluate(np.array([0.0, 1.0]), np.array([False, True]), threshold=5.0)
    assert metrics["recall"] == 0.5
    assert metrics["precision_abnormal"] == 0.0


def test_normal_windows_alone():
    """A window at the threshold is flagged. No other metric is defined."""
    metrics = evaluate(np.array([1.0, 2.0, 3.0, 4.0]), np.zeros(4, bool), threshold=4.0)
    assert metrics == {"false_positive_rate": 0.25, "threshold": 4.0}


def test_flagged_by():
    labels = np.array(["p1", "p1", "p1", "p2"])
    table = flagged_by(labels, np.array([1.0, 9.0, 9.0, 9.0]), np.array([False, False, True, True]), threshold=5.0)
    assert table == {
        "p1": {"normal": {"windows": 2, "flagged": 0.5}, "abnormal": {"windows": 1, "flagged": 1.0}},
        "p2": {"abnormal": {"windows": 1, "flagged": 1.0}},
    }
