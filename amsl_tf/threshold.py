"""The threshold: a pure function of the scores of normal training windows."""

import numpy as np


def percentile_threshold(normal_scores: np.ndarray, percentile: float, groups: np.ndarray | None = None) -> float:
    """The score at or above which a window is abnormal: a percentile of normal scores (98 in the paper, section 4.1).

    With groups (N,) it is the median of the groups' percentiles: one odd person does not set the threshold of all others.
    Groups too small to have such a percentile do not count; where most windows are in these, all are taken together. It is a
    float32, as scores are, so that the same scores are judged the same in every precision that they are read in.
    """
    parts = [normal_scores]
    if groups is not None:
        of_groups = [normal_scores[groups == group] for group in np.unique(groups)]
        large = [part for part in of_groups if len(part) * (100 - percentile) >= 100]
        if 2 * sum(map(len, large)) >= len(normal_scores):
            parts = large
    return float(np.float32(np.median([np.percentile(part, percentile) for part in parts])))


def is_abnormal(scores: np.ndarray | float, threshold: float) -> np.ndarray:
    """bool (N,): whether each score reaches the threshold."""
    return np.asarray(scores) >= threshold
