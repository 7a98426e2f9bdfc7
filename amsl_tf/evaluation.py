"""Metrics of detection: pure functions of scores, a threshold and the truth."""

from typing import Any

import numpy as np
from sklearn.metrics import average_precision_score, precision_recall_fscore_support, roc_auc_score

from amsl_tf.threshold import is_abnormal

CLASSES = ("normal", "abnormal")


def evaluate(scores: np.ndarray, abnormal: np.ndarray, threshold: float) -> dict[str, float]:
    """Metrics of scores of test windows.

    Args:
        scores: (N,), higher is more abnormal.
        abnormal: bool (N,), the truth; both classes must occur.
        threshold: At or above it a window counts as abnormal.

    Returns:
        `precision` and `recall`, averaged over both classes; `f1`, the harmonic mean of these two averages, as the paper has it
        (section 4.1; not the mean of the classes' F1); `accuracy`; `auroc`; `average_precision`; `threshold`; and each class's
        own as `precision_normal` and so on.
    """
    flagged = is_abnormal(scores, threshold)
    precisions, recalls, _, _ = precision_recall_fscore_support(abnormal, flagged, labels=[False, True], zero_division=0.0)
    precision, recall = float(precisions.mean()), float(recalls.mean())
    return {
        "f1": 2 * precision * recall / (precision + recall) if precision + recall else 0.0,
        "accuracy": float(np.mean(flagged == abnormal)),
        "precision": precision,
        "recall": recall,
        "auroc": float(roc_auc_score(abnormal, scores)),
        "average_precision": float(average_precision_score(abnormal, scores)),
        "threshold": threshold,
        **{f"precision_{name}": float(value) for name, value in zip(CLASSES, precisions, strict=True)},
        **{f"recall_{name}": float(value) for name, value in zip(CLASSES, recalls, strict=True)},
    }


def flagged_by(labels: np.ndarray, scores: np.ndarray, abnormal: np.ndarray, threshold: float) -> dict[str, dict[str, Any]]:
    """For each label, such as an activity or a person: how many normal and abnormal windows it has and which share is flagged.

    For normal windows the share is the rate of false alarms, for abnormal ones the rate of detection.
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
