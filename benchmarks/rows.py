"""What the tables of results have in common."""

import statistics
from collections.abc import Sequence
from typing import Any

from amsl_tf.data.splits import Protocol
from benchmarks.experiments import Experiment, Found

METRICS = ("F1", "AUROC", "false alarms", "detected", "F1, whole", "AUROC, whole")


def table(columns: Sequence[str], rows: list[list[str]]) -> str:
    """A table in Markdown; rows that are too short end in empty cells."""
    head, *body = (f"| {' | '.join(cells + [''] * (len(columns) - len(cells)))} |\n" for cells in [list(columns), *rows])
    return "".join([head, "|" + "---|" * len(columns) + "\n", *body])


def finished(experiment: Experiment, protocol: Protocol, found: Found) -> list[dict[str, Any]]:
    """The runs that are finished, of those that are asked for."""
    numbers = range(experiment.runs.get(protocol, 0))
    return [found[key] for number in numbers if (key := (experiment.name, protocol, number)) in found]


def published(experiment: Experiment, protocol: Protocol, score: str | None = None) -> str:
    """The paper's F1: it tests on people that it has trained on, and knows nothing of the nearest-normal score."""
    told = experiment.published and protocol == "window" and score != "nearest_normal"
    return f"{experiment.published:.4f}" if told else ""


def metrics(scores: list[dict[str, Any]]) -> list[str]:
    """Cells of `METRICS` for the runs of a score; those of whole windows are empty where there are none."""
    whole = [one.get("whole", {}) for one in scores]
    columns = (
        [one["f1"] for one in scores],
        [one["auroc"] for one in scores],
        [1 - one["recall_normal"] for one in scores],
        [one["recall_abnormal"] for one in scores],
        [one.get("f1") for one in whole],
        [one.get("auroc") for one in whole],
    )
    return [mean(values) for values in columns]


def mean(values: list[float | None]) -> str:
    """Mean, and deviation where there are several; empty where one is missing."""
    there = [value for value in values if value is not None]
    if len(there) < len(values):
        return ""
    text = f"{statistics.mean(there):.3f}"
    return f"{text} ± {statistics.stdev(there):.3f}" if len(there) > 1 else text


def spoken(name: str) -> str:
    """The name of a score, for readers."""
    return name.replace("_", " ")
