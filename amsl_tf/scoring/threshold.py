"""The threshold, a pure function of the scores of normal training windows."""

import numpy as np

TIE = 1e-4  # scores that differ by less, relative to values above 1, are equal up to rounding


def percentile_threshold(normal_scores: np.ndarray, percentile: float, groups: np.ndarray | None = None) -> float:
    """Computes the threshold, a percentile of normal scores.

    If too many scores are equal to the percentile to be flagged, as for a sensor that is mostly at rest, the threshold lies
    half way between them and the next larger score. With groups it is the median of the percentiles of the groups, so that a
    single atypical group does not set it. Groups too small for such a percentile are ignored; if most windows are in such
    groups, all windows are pooled.

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
    return float(np.float32(np.median([_above_ties(part, percentile) for part in parts])))


def _above_ties(scores: np.ndarray, percentile: float) -> float:
    """Returns a percentile of scores (N,), or a value above the scores equal to it if these are too many to be flagged."""
    value = float(np.percentile(scores, percentile))
    tolerance = TIE * max(1.0, abs(value))
    if np.mean(scores >= value - tolerance) <= 1 - percentile / 100 + 1 / len(scores):
        return value
    larger = scores[scores > value + tolerance]
    return value + tolerance if not len(larger) else (value + float(larger.min())) / 2


def is_abnormal(scores: np.ndarray | float, threshold: float) -> np.ndarray:
    """Returns whether each score (N,) reaches the threshold or is not a number, bool (N,)."""
    return ~(np.asarray(scores) < threshold)
