"""The tables of docs/objectives.md, from the stored results of the study."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from amsl_tf.data.files import read_json
from amsl_tf.errors import AMSLError
from benchmarks.pages import Section
from benchmarks.rows import markdown_table

SECTION = Section("results", "objectives")
PAGE = "objectives.md"
METRICS = {"auroc": "AUROC", "average_precision": "average precision"}
CONTROLS = {"ensemble": "no member added", "untrained": "untrained twin", "kernels": "random convolutions"}
VARIANTS = {
    "ensemble": "ensemble",
    "trained": "with trained member",
    "untrained": "with untrained twin",
    "kernels": "with random convolutions",
    "trained_alone": "trained member alone",
    "untrained_alone": "untrained twin alone",
}
FLOPS = {"network": "MFLOP a window, network", "kernels": "MFLOP a window, random convolutions"}


class Difference(NamedTuple):
    """The mean difference of a metric between the ensemble with a trained member and a control.

    Attributes:
        mean: The mean over units, each the mean over its seeds.
        margin: Two standard errors of it; NaN for a single unit, of any of the data sets.
    """

    mean: float
    margin: float

    def __str__(self) -> str:
        return f"{self.mean:+.3f}" + ("" if np.isnan(self.margin) else f" ± {self.margin:.3f}")


def check(folder: Path) -> None:
    """Raises AMSLError if the page lacks the marker lines of its section."""
    SECTION.split(folder / PAGE)


def write(results: Path, folder: Path, datasets: Mapping[str, str], objectives: Sequence[str]) -> None:
    """Writes the tables.

    Args:
        results: The folder of the JSON files.
        folder: The folder of the page.
        datasets: The titles of the data sets by name.
        objectives: The names of the objectives.
    """
    table = read_results(results)
    text = format_tables(table, datasets, objectives) if len(table) else "There is no result.\n"
    SECTION.replace(folder / PAGE, text)


def read_results(results: Path) -> pd.DataFrame:
    """Reads the results: a row for each unit, objective and seed, with a column `METRIC.VARIANT` for each number.

    Raises:
        AMSLError: A file is damaged.
    """
    rows = []
    for file in sorted(results.glob("*.json")):
        advice = f"Remove {file} and run it again."
        keys = ("dataset", "unit", "objective", "seed", "seconds", "flops", "scores")
        values = read_json(file, advice, keys)
        try:
            row = {name: values[name] for name in ("dataset", "unit", "objective", "seed", "seconds")}
            row |= {f"flops.{name}": values["flops"][name] for name in FLOPS}
            row |= {f"{metric}.{name}": values["scores"][name][metric] for metric in METRICS for name in VARIANTS}
        except (KeyError, TypeError) as error:
            raise AMSLError(f"{file}: not a complete result ({type(error).__name__}: {error}). {advice}") from error
        rows.append(row)
    return pd.DataFrame(rows)


def difference(table: pd.DataFrame, metric: str, control: str) -> Difference:
    """Computes the difference to a control over the rows of one objective; the seeds of a unit count as one."""
    values = _unit_differences(table, metric, control)
    return Difference(float(values.mean()), float(2 * values.std() / np.sqrt(len(values))))


def over_datasets(table: pd.DataFrame, metric: str, control: str) -> Difference:
    """Computes the mean of the differences of the data sets; its standard error is that of these means within data sets."""
    values = _unit_differences(table, metric, control).groupby("dataset")
    variances = values.var() / values.size()
    return Difference(float(values.mean().mean()), float(2 * np.sqrt(variances.sum(skipna=False)) / len(variances)))


def wins(table: pd.DataFrame, metric: str) -> bool:
    """Returns whether an objective wins over all controls by more than two standard errors."""
    differences = [difference(table, metric, control) for control in CONTROLS]
    return all(item.mean > item.margin for item in differences)


def _unit_differences(table: pd.DataFrame, metric: str, control: str) -> pd.Series:
    differences = table[f"{metric}.trained"] - table[f"{metric}.{control}"]
    return differences.groupby([table["dataset"], table["unit"]]).mean()


def format_tables(table: pd.DataFrame, datasets: Mapping[str, str], objectives: Sequence[str]) -> str:
    """Formats the tables of differences, over units and data sets and by data set, of the metrics and of the costs."""
    parts = {name: rows for name in objectives if len(rows := table[table["objective"] == name])}
    found = [name for name in datasets if (table["dataset"] == name).any()]
    winners = [name for name, part in parts.items() if all(wins(part, metric) for metric in METRICS)]
    text = [f"Objectives that win over all controls in both metrics: {', '.join(winners) or 'none'}.\n"]
    for metric, title in METRICS.items():
        text.append(f"## {title[0].upper()}{title[1:]}\n")
        text.append("Difference of the ensemble with the trained member to each control, mean ± two standard errors:\n")
        means = {"over units": difference, "over data sets": over_datasets}
        head = [
            "objective",
            "units",
            "seeds",
            *(f"{control}, {over}" for over in means for control in CONTROLS.values()),
            "wins",
        ]
        rows = [
            [
                name,
                str(len(part.groupby(["dataset", "unit"]))),
                str(part["seed"].nunique()),
                *(str(compare(part, metric, control)) for compare in means.values() for control in CONTROLS),
                "yes" if wins(part, metric) else "no",
            ]
            for name, part in parts.items()
        ]
        text.append(markdown_table(head, rows))
        text.append("The same by data set, mean over its units:\n")
        rows = [
            [name, CONTROLS[control], *(_mean(part[part["dataset"] == dataset], metric, control) for dataset in found)]
            for name, part in parts.items()
            for control in CONTROLS
        ]
        text.append(markdown_table(["objective", "control", *(datasets[name] for name in found)], rows, ["control"]))
        text.append("The metric itself, mean over data sets:\n")
        rows = [
            [name, *(f"{part.groupby('dataset')[f'{metric}.{variant}'].mean().mean():.3f}" for variant in VARIANTS)]
            for name, part in parts.items()
        ]
        text.append(markdown_table(["objective", *VARIANTS.values()], rows))
    text.append("## Costs\n\nMedians over units:\n")
    rows = [
        [name, f"{part['seconds'].median():.1f}", *(f"{part[f'flops.{what}'].median() / 1e6:.1f}" for what in FLOPS)]
        for name, part in parts.items()
    ]
    text.append(markdown_table(["objective", "CPU seconds to train", *FLOPS.values()], rows))
    return "\n".join(text)


def _mean(table: pd.DataFrame, metric: str, control: str) -> str:
    """Formats the mean of the differences, if there are any."""
    return f"{difference(table, metric, control).mean:+.3f}" if len(table) else ""
