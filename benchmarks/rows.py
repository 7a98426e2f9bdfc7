"""Cells and Markdown tables of results, shared by the generated pages."""

import statistics
from collections.abc import Collection, Sequence
from typing import Any

from tabulate import tabulate

from amsl_tf.data.splits import Protocol
from benchmarks.experiments import Experiment, Results

METRICS = ("F1", "AUROC", "FPR", "TPR", "F1, excl. zero-padded", "AUROC, excl. zero-padded")
OWN = "own"  # the name of the only score of a baseline


def markdown_table(columns: Sequence[str], rows: list[list[str]], text: Collection[str] = ()) -> str:
    """Formats cells as a table in Markdown.

    Args:
        columns: The column titles.
        rows: The cells of each row; a short row is completed with empty cells.
        text: The titles of the columns of text, aligned left; the others are aligned right. The first column is always text.
    """
    align = ["left" if place == 0 or title in text else "right" for place, title in enumerate(columns)]
    return tabulate(rows, columns, tablefmt="pipe", colalign=align, disable_numparse=True) + "\n"


def finished_runs(experiment: Experiment, protocol: Protocol, results: Results) -> list[dict[str, Any]]:
    """Returns the results of the finished runs of an experiment, in order."""
    numbers = range(experiment.runs.get(protocol, 0))
    return [results[key] for number in numbers if (key := (experiment.name, protocol, number)) in results]


def format_published(experiment: Experiment, protocol: Protocol, score: str | None = None) -> str:
    """Formats the F1 that the paper reports; empty where it does not apply.

    The paper tests on subjects seen in training, and it has no nearest-normal score.
    """
    applies = experiment.published and protocol == "window" and score != "nearest_normal"
    return f"{experiment.published:.4f}" if applies else ""


def format_metrics(runs: list[dict[str, Any]]) -> list[str]:
    """Formats the cells of `METRICS`, from the metrics of each run; empty where a run lacks a metric."""
    unpadded = [metrics.get("excluding_zero_padded", {}) for metrics in runs]
    columns: tuple[list[float | None], ...] = (
        [metrics["f1"] for metrics in runs],
        [metrics["auroc"] for metrics in runs],
        [1 - metrics["recall_normal"] for metrics in runs],
        [metrics["recall_abnormal"] for metrics in runs],
        [metrics.get("f1") for metrics in unpadded],
        [metrics.get("auroc") for metrics in unpadded],
    )
    return [format_mean(values) for values in columns]


def format_mean(values: Sequence[float | None]) -> str:
    """Formats the mean, with the standard deviation if there are several values; empty if one is missing."""
    present = [value for value in values if value is not None]
    if not present or len(present) < len(values):
        return ""
    text = f"{statistics.mean(present):.3f}"
    return f"{text} ± {statistics.stdev(present):.3f}" if len(present) > 1 else text


def score_title(name: str) -> str:
    """Returns the title of a score: `nearest normal` for `nearest_normal`."""
    return name.replace("_", " ")
