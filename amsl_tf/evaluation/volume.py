"""The volume under the surface of range-based curves, VUS-ROC and VUS-PR: metrics of scores by time step."""

from typing import NamedTuple

import numpy as np

from amsl_tf.errors import DataError

THRESHOLDS = 250


class Volume(NamedTuple):
    """The result of `volume_under_surface`.

    Attributes:
        roc: VUS-ROC, from 0 to 1.
        pr: VUS-PR, from 0 to 1.
    """

    roc: float
    pr: float


def volume_under_surface(labels: np.ndarray, scores: np.ndarray, buffer: int, thresholds: int = THRESHOLDS) -> Volume:
    """Computes VUS-ROC and VUS-PR, the means of range-based areas over all buffer lengths from 0 to `buffer`.

    With a buffer of l steps, the label of a step beside an anomaly at a distance of d <= l / 2 is sqrt(1 - d / l): a score that
    rises a little early or late counts in part. The true-positive rate is multiplied by the share of the anomalies in which
    any step is found. There is no point adjustment.

    Args:
        labels: (N,), 1 or True for abnormal and 0 or False for normal time steps, at least one of each.
        scores: (N,), finite; higher is more abnormal.
        buffer: The largest buffer length in time steps, such as the period of the series; at least 0.
        thresholds: The number of thresholds, evenly spaced in the sorted scores.

    Returns:
        The two volumes.

    Raises:
        DataError: The arrays have different lengths, the scores are not finite, or there is only one class.

    Reference:
        Paparrizos et al., Volume Under the Surface, PVLDB 15(11), 2022; the version `opt` of their code.
    """
    is_abnormal, scores = np.asarray(labels).astype(bool), np.asarray(scores, np.float64)
    if scores.ndim != 1 or scores.shape != is_abnormal.shape:
        raise DataError(f"labels and scores must be of one length. Received: {is_abnormal.shape} and {scores.shape}.")
    if not np.isfinite(scores).all():
        raise DataError(f"scores must be finite. Received: {np.flatnonzero(~np.isfinite(scores))[0]} is not.")
    if is_abnormal.all() or not is_abnormal.any():
        raise DataError("labels must hold normal and abnormal time steps. Received: only one class.")
    descending = -np.sort(-scores)
    levels = descending[np.linspace(0, len(scores) - 1, thresholds).astype(int)]
    # the first threshold at which each step is found: sums over the steps found become cumulative sums over thresholds
    first = np.searchsorted(-levels, -scores)
    starts, ends = find_ranges(is_abnormal)
    found = _cumulative(first, None, thresholds)
    found_inside = _cumulative(first[is_abnormal], None, thresholds)
    areas = [_areas(length, is_abnormal, starts, ends, first, found, found_inside, thresholds) for length in range(buffer + 1)]
    return Volume(*np.mean(areas, axis=0).tolist())


def find_ranges(is_abnormal: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the first and the last positions of runs of true values, int (K,) each."""
    changes = np.diff(np.concatenate([[False], is_abnormal, [False]]).astype(np.int8))
    return np.flatnonzero(changes == 1), np.flatnonzero(changes == -1) - 1


def _areas(
    length: int,
    is_abnormal: np.ndarray,
    starts: np.ndarray,
    ends: np.ndarray,
    first: np.ndarray,
    found: np.ndarray,
    found_inside: np.ndarray,
    thresholds: int,
) -> tuple[float, float]:
    """Computes the range-based areas under ROC and precision-recall curve for one buffer length."""
    count, reach = len(is_abnormal), length // 2
    distances = np.arange(1, reach + 1)
    steps = np.concatenate([(ends[:, None] + distances).ravel(), (starts[:, None] - distances).ravel()])
    weights = np.tile(np.sqrt(1 - distances / max(length, 1)), 2 * len(starts))
    beside = (steps >= 0) & (steps < count)
    steps, weights = steps[beside], weights[beside]
    beside = ~is_abnormal[steps]
    steps, position = np.unique(steps[beside], return_inverse=True)  # a step may lie beside two anomalies
    weights = np.minimum(np.bincount(position, weights[beside], len(steps)), 1.0)
    found_beside = _cumulative(first[steps], weights, thresholds)

    separate = ends[:-1] + reach < starts[1:] - reach  # else the buffers of two anomalies touch, and count as one
    lows = np.maximum(starts[np.concatenate([[True], separate])] - reach, 0)
    highs = np.minimum(ends[np.concatenate([separate, [True]])] + reach, count - 1)
    bounds = np.stack([lows, highs + 1], axis=1).ravel()
    earliest = np.minimum.reduceat(np.append(first, thresholds), bounds)[::2]
    share = _cumulative(earliest, None, thresholds) / len(lows)

    hits = found_inside + found_beside
    positives = len(first[is_abnormal]) + found_beside / 2
    tpr = np.minimum(hits / positives, 1) * share
    fpr = (found - hits) / (count - positives)
    x, y = np.concatenate([[0], fpr, [1]]), np.concatenate([[0], tpr, [1]])
    return float(np.diff(x) @ (y[1:] + y[:-1]) / 2), float(np.diff(tpr, prepend=0.0) @ (hits / found))


def _cumulative(first: np.ndarray, weights: np.ndarray | None, thresholds: int) -> np.ndarray:
    """Returns the sum of the weights of the steps that are found at each threshold, (thresholds,)."""
    return np.bincount(first, weights, thresholds + 1)[:thresholds].cumsum()
