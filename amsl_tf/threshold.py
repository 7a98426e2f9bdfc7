"""The threshold: a pure function of the scores of normal training windows."""

import numpy as np


def percentile_threshold(normal_scores: np.ndarray, percentile: float, groups: np.ndarray | None = None) -> float:
    """The score at or above which a window is abnormal: a percentile of normal scores (98 in the paper, section 4.1).

    With groups (N,) it is the median of the groups' percentiles: one odd person does not set the threshold of all others. It is
    a float32, as scores are, so that the same scores are judged the same in every precision that they are read in.
    """
    parts = [normal_scores] if groups is None else [normal_scores[groups == group] for group in np.unique(groups)]
    return float(np.float32(np.median([np.percentile(part, percentile) for part in parts])))


def is_abnormal(scores: np.ndarray, threshold: float) -> np.ndarray:
    """bool (N,): whether each score reaches the threshold."""
    return np.asarray(scores) >= threshold
