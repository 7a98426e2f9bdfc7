"""Metrics of detection: pure functions of scores, a threshold and the true labels."""

from typing import Any

import numpy as np
from sklearn.metrics import average_precision_score, precision_recall_fscore_support, roc_auc_score

from amsl_tf.scoring.threshold import is_abnormal

CLASSES = ("normal", "abnormal")


def evaluate(scores: np.ndarray, abnormal: np.ndarray, threshold: float) -> dict[str, float]:
    """Computes the metrics of the scores of test windows.

    Args:
        scores: (N,), higher is more abnormal.
        abnormal: bool (N,), the true labels; normal windows must occur.
        threshold: The threshold; a score that reaches it is abnormal.

    Returns:
        `threshold`, and `false_positive_rate`, the share of the normal windows that is flagged. If there are abnormal windows,
        also `precision` and `recall`, averaged over both classes; `f1`, the harmonic mean of these two averages as in section
        4.1 of the AMSL paper (not the mean F1 of the classes); `accuracy`; `auroc`; `average_precision`; and the precision and
        recall of each class as `precision_normal` and so on. All but the threshold are from 0 to 1.
    """
    flagged = is_abnormal(scores, threshold)
    metrics = {"false_positive_rate": float(flagged[~abnormal].mean()), "threshold": threshold}
    if not abnormal.any():
        return metrics
    precisions, recalls, _, _ = precision_recall_fscore_support(abnormal, flagged, labels=[False, True], zero_division=0.0)
    precision, recall = float(precisions.mean()), float(recalls.mean())
    return {
        **metrics,
        "f1": 2 * precision * recall / (precision + recall) if precision + recall else 0.0,
        "accuracy": float(np.mean(flagged == abnormal)),
        "precision": precision,
        "recall": recall,
        "auroc": float(roc_auc_score(abnormal, scores)),
        "average_precision": float(average_precision_score(abnormal, scores)),
        **{f"precision_{name}": float(value) for name, value in zip(CLASSES, precisions, strict=True)},
        **{f"recall_{name}": float(value) for name, value in zip(CLASSES, recalls, strict=True)},
    }


def flagged_by(labels: np.ndarray, scores: np.ndarray, abnormal: np.ndarray, threshold: float) -> dict[str, dict[str, Any]]:
    """Counts the normal and abnormal windows of each label, such as an activity or a subject, and the share that is flagged.

    Args:
        labels: The label of each window (N,).
        scores: (N,), higher is more abnormal.
        abnormal: bool (N,), the true classes.
        threshold: The threshold; a score that reaches it is abnormal.

    Returns:
        By label and by class that occurs (`normal`, `abnormal`), the number of `windows` and the share `flagged`, from 0 to 1.
        The share is the false-positive rate for normal windows and the true-positive rate for abnormal ones.
    """
    flagged = is_abnormal(scores, threshold)
    table: dict[str, dict[str, Any]] = {}
    for label in np.unique(labels):
        table[str(label)] = {}
        for name, of_class in zip(CLASSES, (~abnormal, abnormal), strict=True):
            chosen = (labels == label) & of_class
            if chosen.any():
                table[str(label)][name] = {"windows": int(chosen.sum()), "flagged": float(flagged[chosen].mean())}
    return table
