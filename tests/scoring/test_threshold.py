"""Thresholds against values computed by hand."""

import numpy as np
import pytest

from amsl_tf.scoring.threshold import is_abnormal, percentile_threshold


def test_threshold():
    assert percentile_threshold(np.arange(101.0), 98.0) == 98.0
    assert is_abnormal(np.array([0.9, 1.0, 1.1]), 1.0).tolist() == [False, True, True]


def test_threshold_of_groups():
    """Percentiles of 0..100, 100..200 and 1000..1100: the atypical group does not raise the threshold."""
    scores = np.concatenate([np.arange(101.0), np.arange(101.0) + 100, np.arange(101.0) + 1000])
    assert percentile_threshold(scores, 98.0, np.repeat(["a", "b", "c"], 101)) == 198.0


def test_small_groups_are_pooled(rng):
    """With one window in each group the median of the percentiles would flag half of all windows."""
    scores = rng.normal(size=500)
    assert percentile_threshold(scores, 98.0, np.arange(500)) == percentile_threshold(scores, 98.0)
    some = np.concatenate([np.zeros(400), np.arange(1, 101)])
    assert percentile_threshold(scores, 98.0, some) == percentile_threshold(scores[:400], 98.0)


def test_ties_are_not_flagged():
    """A sensor at rest for 94 of 100 windows: the threshold lies between its score and the next larger one."""
    scores = np.concatenate([np.full(94, -1.0), np.arange(1.0, 7.0)])
    assert percentile_threshold(scores, 98.0) == pytest.approx(np.percentile(scores, 98.0))  # 5.02, above the tie
    assert percentile_threshold(scores, 90.0) == 0.0
    rounded = scores + np.random.default_rng(0).uniform(0, 1e-6, 100)
    assert percentile_threshold(rounded, 90.0) == pytest.approx(0.0, abs=1e-5)
    assert 3.0 < percentile_threshold(np.full(60, 3.0), 98.0) < 3.001
