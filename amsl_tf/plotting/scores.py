"""Figures of scores: histogram, ROC and precision-recall curves, confusion matrix, rates."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from sklearn.metrics import precision_recall_curve, roc_curve

from amsl_tf.plotting.style import ABNORMAL, INK, NORMAL, panels, shorten, styled
from amsl_tf.scoring.threshold import is_abnormal

MAX_POINTS = 400  # of a curve


@styled
def score_histogram(scores: Mapping[str, np.ndarray], threshold: float, title: str) -> Figure:
    """Draws the histograms of the scores of normal and, if given, abnormal windows, with the threshold.

    The horizontal axis is logarithmic for positive scores with a long tail.

    Args:
        scores: The scores (N,) of each class by its label, normal windows first; at most two classes.
        threshold: The threshold of the score.
        title: The title of the figure.

    Returns:
        The figure.
    """
    figure, axis = panels()
    pooled = np.concatenate(list(scores.values())).astype(float)
    low, high = pooled.min(), pooled.max()
    logarithmic = low > 0 and high > 50 * np.median(pooled)
    edges = np.geomspace(low, high, 61) if logarithmic else np.linspace(low, high, 61)
    for (kind, values), colour, texture in zip(scores.items(), (NORMAL, ABNORMAL), ("", "//"), strict=False):
        shares = np.full(len(values), 100 / len(values))
        axis.hist(values, edges, weights=shares, label=kind, histtype="stepfilled", alpha=0.55, color=colour, hatch=texture)
    axis.axvline(threshold, color=INK, linewidth=1, linestyle="--", label=f"threshold {threshold:.4g}")
    if logarithmic:
        axis.set_xscale("log")
    axis.set(xlabel="score, higher is more abnormal", ylabel="windows, %", title=title)
    axis.legend()
    return figure


def roc(scores: Mapping[str, np.ndarray], abnormal: np.ndarray, thresholds: Mapping[str, float]) -> Figure:
    """Draws the ROC curve of each score, with a dot at its threshold.

    Args:
        scores: The scores (N,) by name; higher is more abnormal.
        abnormal: bool (N,), the true labels; both classes must occur.
        thresholds: The thresholds of the scores by name.

    Returns:
        The figure.
    """
    curves = {}
    for name, values in scores.items():
        flagged = is_abnormal(values, thresholds[name])
        curves[name] = (*roc_curve(abnormal, values)[:2], (flagged[~abnormal].mean(), flagged[abnormal].mean()))
    labels = {"xlabel": "false-positive rate (false alarms)", "ylabel": "true-positive rate (recall)", "title": "ROC"}
    return _curves(curves, chance=(0, 1), legend="lower right", **labels)


def precision_recall(scores: Mapping[str, np.ndarray], abnormal: np.ndarray, thresholds: Mapping[str, float]) -> Figure:
    """Draws the precision-recall curve of each score, with a dot at its threshold.

    Args:
        scores: The scores (N,) by name; higher is more abnormal.
        abnormal: bool (N,), the true labels; both classes must occur.
        thresholds: The thresholds of the scores by name.

    Returns:
        The figure.
    """
    curves = {}
    for name, values in scores.items():
        precision, recall, _ = precision_recall_curve(abnormal, values)
        flagged = is_abnormal(values, thresholds[name])
        precision_there = abnormal[flagged].mean() if flagged.any() else 1.0  # where the curve ends
        curves[name] = (recall, precision, (flagged[abnormal].mean(), precision_there))
    labels = {
        "xlabel": "recall",
        "ylabel": "precision",
        "title": "Precision and recall",
    }
    return _curves(curves, chance=(abnormal.mean(), abnormal.mean()), legend="lower left", ylim=(0, 1.02), **labels)


@styled
def _curves(
    curves: Mapping[str, tuple[np.ndarray, np.ndarray, tuple[float, float]]],
    *,
    chance: tuple[float, float],
    legend: str,
    **settings: Any,
) -> Figure:
    """Draws curves (x, y, dot) by name, and the line of chance level from x = 0 to 1, given by its ends."""
    figure, axis = panels()
    for name, (x, y, dot) in curves.items():
        subset = np.unique(np.linspace(0, len(x) - 1, MAX_POINTS).astype(int))
        (line,) = axis.plot(x[subset], y[subset], label=name)
        axis.plot(*dot, "o", color=line.get_color())
    axis.plot([0, 1], chance, color=INK, linewidth=0.6, linestyle=":")
    axis.set(**settings)
    axis.legend(loc=legend)
    return figure


@styled
def confusion(counts: np.ndarray, title: str) -> Figure:
    """Draws a confusion matrix.

    Args:
        counts: int (2, 2), numbers of windows. Rows are true classes, columns decisions, normal first; no row sums to 0.
        title: The title of the figure.

    Returns:
        The figure.
    """
    figure, axis = panels()
    shares = counts / counts.sum(axis=1, keepdims=True)
    for (row, column), share in np.ndenumerate(shares):
        colour = NORMAL if row == column else ABNORMAL
        axis.fill_between([column - 0.48, column + 0.48], row - 0.48, row + 0.48, color=colour, alpha=0.1 + 0.5 * share)
        axis.text(column, row - 0.05, f"{100 * share:.1f} %", ha="center", va="bottom", fontsize=13)
        axis.text(column, row + 0.05, f"{counts[row, column]:,} windows", ha="center", va="top")
    axis.set(xticks=[0, 1], xticklabels=["not flagged", "flagged"], yticks=[0, 1], yticklabels=["normal", "abnormal"])
    axis.set(xlim=(-0.5, 1.5), ylim=(1.5, -0.5), title=title)
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    return figure


@styled
def rates(counts: Mapping[str, Mapping[str, Mapping[str, float]]], title: str) -> Figure:
    """Draws the flagged share of normal and abnormal windows by label.

    Args:
        counts: The result of `flagged_by`.
        title: The title of the figure.

    Returns:
        The figure.
    """
    rows = [(label, kind, counted) for label, kinds in counts.items() for kind, counted in kinds.items()]
    figure, axis = panels(height=0.9 + 0.21 * len(rows))
    for place, (_, kind, counted) in enumerate(rows):
        share = 100 * counted["flagged"]
        texture = "//" if kind == "abnormal" else ""
        axis.barh(place, share, color=NORMAL if kind == "normal" else ABNORMAL, alpha=0.75, hatch=texture, height=0.75)
        axis.text(share + 1, place, f"{share:.1f}", va="center", fontsize=8)
    axis.set(yticks=range(len(rows)), yticklabels=[f"{shorten(label)}, {kind}" for label, kind, _ in rows], title=title)
    axis.set(xlim=(0, 112), xticks=range(0, 101, 25), xlabel="flagged, %")
    axis.tick_params(axis="y", labelsize=7.5)
    axis.invert_yaxis()
    return figure
