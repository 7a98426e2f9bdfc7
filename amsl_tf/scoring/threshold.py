"""The threshold, a pure function of the scores of normal training windows."""

import numpy as np


def percentile_threshold(normal_scores: np.ndarray, percentile: float, groups: np.ndarray | None = None) -> float:
    """Computes the threshold, a percentile of normal scores.

    With groups it is the median of the percentiles of the groups, so that a single atypical group does not set it. Groups too
    small for such a percentile are ignored; if most windows are in such groups, all windows are pooled.

    Args:
        normal_scores: float32 (N,), dimensionless.
        percentile: 0 to 100.
        groups: The group of each window (N,), or None.

    Returns:
        A float32 value, as scores are, so that comparisons do not depend on the precision that scores are stored in.

    Reference:
        Section 4.1 of the AMSL paper, with the 98th percentile and without groups.
    """
    parts = [normal_scores]
    if groups is not None:
        of_groups = [normal_scores[groups == group] for group in np.unique(groups)]
        large = [part for part in of_groups if len(part) * (100 - percentile) >= 100]
        if 2 * sum(map(len, large)) >= len(normal_scores):
            parts = large
    return float(np.float32(np.median([np.percentile(part, percentile) for part in parts])))


def is_abnormal(scores: np.ndarray | float, threshold: float) -> np.ndarray:
    """Returns whether each score (N,) reaches the threshold or is not a number, bool (N,)."""
    return ~(np.asarray(scores) < threshold)
