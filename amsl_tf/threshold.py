"""The threshold: a pure function of the scores of normal training windows."""

import numpy as np


def percentile_threshold(normal_scores: np.ndarray, percentile: float) -> float:
    """The score at or above which a window is abnormal: a percentile of normal scores (98 in the paper, section 4.1).

    It is a float32, as scores are, so that the same scores are judged the same in every precision that they are read in.
    """
    return float(np.float32(np.percentile(normal_scores, percentile)))


def is_abnormal(scores: np.ndarray, threshold: float) -> np.ndarray:
    """bool (N,): whether each score reaches the threshold."""
    return np.asarray(scores) >= threshold
