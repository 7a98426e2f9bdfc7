"""The threshold: a pure function of the scores of normal training windows."""

import numpy as np


def percentile_threshold(normal_scores: np.ndarray, percentile: float) -> float:
    """The score at or above which a window is abnormal: a percentile of normal scores (98 in the paper, section 4.1)."""
    return float(np.percentile(normal_scores, percentile))


def is_abnormal(scores: np.ndarray, threshold: float) -> np.ndarray:
    """bool (N,): whether each score reaches the threshold."""
    return np.asarray(scores) >= threshold
