"""Conformal p-values, from the scores of held-out normal windows."""

import numpy as np

from amsl_tf.errors import DataError


def conformal_p_values(scores: np.ndarray, normal_scores: np.ndarray) -> np.ndarray:
    """Computes conformal p-values: the share of normal scores, and of the score itself, that are at least as large.

    If a normal window is exchangeable with the held-out ones, its p-value is at most a with probability at most a.

    Args:
        scores: (N,).
        normal_scores: (n,), of held-out normal windows.

    Returns:
        float64 (N,), from 1 / (n + 1) to 1; NaN for scores that are NaN.

    Raises:
        DataError: There are no normal scores, or some are NaN.

    Reference:
        Bates et al., Testing for Outliers with Conformal p-values, Annals of Statistics 51(1), 2023;
        Vovk et al., Algorithmic Learning in a Random World, 2005.
    """
    scores, normal = np.asarray(scores), np.sort(normal_scores)
    if not len(normal) or np.isnan(normal[-1]):  # NaN is sorted to the end
        raise DataError(f"p-values need held-out normal scores without NaN. Received: {len(normal):,} scores.")
    larger = len(normal) - np.searchsorted(normal, scores)
    return np.where(np.isnan(scores), np.nan, (1 + larger) / (len(normal) + 1))
