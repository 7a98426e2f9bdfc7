"""Metrics of detection by time step and by event, without point adjustment: every step counts as it was flagged."""

from typing import Any

import numpy as np
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

from amsl_tf.data.periods import autocorrelate, find_peaks
from amsl_tf.errors import DataError
from amsl_tf.evaluation.volume import find_ranges, volume_under_surface
from amsl_tf.scoring.threshold import is_abnormal

SECONDS_PER_HOUR = 3600
DEFAULT_BUFFER = 125  # of a series without a period, as in the benchmark TSB-AD
MIN_PERIOD, MAX_PERIOD = 3, 300  # time steps
MAX_LAG, MAX_STEPS = 400, 20_000  # of the autocorrelation


def to_time_steps(scores: np.ndarray, rows: np.ndarray, steps: int, count: int) -> np.ndarray:
    """Computes the scores of time steps: the mean of the scores of the windows that cover a step.

    Args:
        scores: (N,), the scores of windows.
        rows: int (N,), the first row of each window.
        steps: T, the length of a window.
        count: The number of rows of the recording.

    Returns:
        float64 (count,). A step that no window covers has the score of the nearest one that is covered; NaN where a window that
        covers it has the score NaN.

    Raises:
        DataError: There is no window, or one lies outside of the recording.
    """
    if not len(scores) or rows.min() < 0 or rows.max() + steps > count:
        raise DataError(f"windows must lie within the {count} rows of the recording. Received: {len(scores)} windows.")
    totals, numbers = (np.zeros(count + 1) for _ in range(2))
    is_number = np.isfinite(scores)
    for sums, values in ((totals, np.where(is_number, scores, 0.0)), (numbers, np.ones(len(scores)))):
        np.add.at(sums, rows, values)
        np.subtract.at(sums, rows + steps, values)
    missing = np.zeros(count + 1)
    np.add.at(missing, rows[~is_number], 1)
    np.subtract.at(missing, rows[~is_number] + steps, 1)
    numbers, totals, missing = (values.cumsum()[:count] for values in (numbers, totals, missing))
    covered = np.flatnonzero(numbers > 0.5)
    values = np.where(missing[covered] > 0.5, np.nan, totals[covered] / numbers[covered])
    nearest = np.searchsorted((covered[1:] + covered[:-1]) / 2, np.arange(count))
    return values[nearest]


def evaluate_time_steps(
    scores: np.ndarray, labels: np.ndarray, threshold: float, *, buffer: int, seconds: float | None = None
) -> dict[str, Any]:
    """Computes the metrics of the scores of time steps.

    Args:
        scores: (count,), finite; higher is more abnormal.
        labels: (count,), 1 or True for abnormal time steps; both classes must occur.
        threshold: The threshold of the detector; a score that reaches it is abnormal.
        buffer: The largest buffer of `volume_under_surface` in time steps.
        seconds: The time between two steps, if known.

    Returns:
        `auroc`, `average_precision`, `vus_roc`, `vus_pr`; `best_f1`, the largest F1 of any threshold, which needs the labels;
        and at the threshold of the detector `f1`, `precision` and `recall` of abnormal steps, `range_precision` and
        `range_recall` (see there), `false_alarm_rate`, the share of normal steps flagged, the number of `events` and of
        `events_found`, those with a flagged step, of `false_alarms`, runs of flagged steps outside of all events, and with
        `seconds` `false_alarms_per_hour` of normal data.

    Raises:
        DataError: See `volume_under_surface`.
    """
    truth = np.asarray(labels).astype(bool)
    volume = volume_under_surface(truth, scores, buffer)
    precisions, recalls, _ = precision_recall_curve(truth, scores)
    sums = precisions + recalls
    flagged = is_abnormal(scores, threshold)
    found, alarms = overlaps(truth, flagged) > 0, overlaps(flagged, truth)
    hits = int((flagged & truth).sum())
    precision, recall = hits / max(int(flagged.sum()), 1), hits / int(truth.sum())
    normal, false_alarms = int((~truth).sum()), int((alarms == 0).sum())
    metrics: dict[str, Any] = {
        "auroc": float(roc_auc_score(truth, scores)),
        "average_precision": float(average_precision_score(truth, scores)),
        "vus_roc": volume.roc,
        "vus_pr": volume.pr,
        "best_f1": float(np.max(2 * precisions * recalls / np.where(sums > 0, sums, 1.0))),
        "f1": 2 * precision * recall / (precision + recall) if hits else 0.0,
        "precision": precision,
        "recall": recall,
        "range_precision": range_recall(flagged, truth),
        "range_recall": range_recall(truth, flagged),
        "false_alarm_rate": float((flagged & ~truth).sum() / normal),
        "events": len(found),
        "events_found": int(found.sum()),
        "false_alarms": false_alarms,
    }
    if seconds is not None:
        metrics["false_alarms_per_hour"] = false_alarms / (normal * seconds / SECONDS_PER_HOUR)
    return metrics


def overlaps(ranges: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Counts the runs of true values in `others` that overlap each run in `ranges`, int (K,); both are bool (count,)."""
    starts, ends = find_ranges(ranges)
    other_starts, other_ends = find_ranges(others)
    return np.searchsorted(other_starts, ends, side="right") - np.searchsorted(other_ends, starts, side="left")


def range_recall(truth: np.ndarray, flagged: np.ndarray) -> float:
    """Computes the range-based recall: the mean over true ranges of the share that is flagged, divided by the number of pieces.

    With the arguments exchanged it is the range-based precision. The position in a range does not matter (flat bias), there is
    no reward for existence alone (alpha = 0), and n pieces in a range count 1 / n.

    Args:
        truth, flagged: bool (count,).

    Returns:
        A value from 0 to 1; 0 if there is no range.

    Reference:
        Tatbul et al., Precision and Recall for Time Series, NeurIPS 2018.
    """
    starts, ends = find_ranges(truth)
    if not len(starts):
        return 0.0
    sums = np.concatenate([[0], np.cumsum(flagged)])
    shares = (sums[ends + 1] - sums[starts]) / (ends - starts + 1)
    return float(np.mean(shares / np.maximum(overlaps(truth, flagged), 1)))


def find_period(values: np.ndarray) -> int:
    """Finds the period of a series: the highest peak of its autocorrelation, the buffer of VUS in the benchmark TSB-AD.

    Args:
        values: (count,), finite, such as the first channel.

    Returns:
        The period in time steps, or 125 if there is no peak from 3 to 300.
    """
    correlation = autocorrelate(values[:MAX_STEPS])[MIN_PERIOD : MAX_LAG + 1]
    peaks = find_peaks(correlation)
    if not len(peaks):
        return DEFAULT_BUFFER
    best = int(peaks[np.argmax(correlation[peaks])])
    return best + MIN_PERIOD if MIN_PERIOD <= best <= MAX_PERIOD else DEFAULT_BUFFER
