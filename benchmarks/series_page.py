"""The tables of docs/series.md, from the stored results of the series benchmark."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import rankdata, wilcoxon

from amsl_tf.data.files import read_json
from amsl_tf.errors import AMSLError
from benchmarks.pages import Section
from benchmarks.rows import OWN, markdown_table, score_title

SECTION = Section("results", "series")
PAGE = "series.md"
RANKING_METRIC = "vus_pr"
OTHER_METRICS = {
    "vus_roc": "VUS-ROC",
    "auroc": "AUROC",
    "average_precision": "average precision",
    "best_f1": "best F1 (oracle threshold)",
    "f1": "F1",
    "range_precision": "range precision",
    "range_recall": "range recall",
}
COUNTS = ("false_alarm_rate", "events", "events_found")
TITLES = {"development": "Development series", "test": "Test series"}


class Row(NamedTuple):
    """A score of a detector on all data sets.

    Attributes:
        title: The title of the detector, with that of the score if it has several.
        metrics: The metrics of each series, by data set and series.
        runs: The results of the detector by data set.
    """

    title: str
    metrics: dict[str, dict[str, dict[str, Any]]]
    runs: dict[str, dict[str, Any]]

    def mean(self, metric: str, dataset: str) -> float | None:
        """Returns the mean of a metric over the series of a data set; None without a result."""
        found = self.metrics.get(dataset)
        return float(np.mean([values[metric] for values in found.values()])) if found else None

    def overall(self, metric: str, datasets: Sequence[str]) -> float | None:
        """Returns the mean of a metric over data sets, each counting once; None if one has no result."""
        means = [mean for dataset in datasets if (mean := self.mean(metric, dataset)) is not None]
        return float(np.mean(means)) if len(means) == len(datasets) else None

    def values(self, metric: str) -> dict[tuple[str, str], float]:
        """Returns a metric of each series, by data set and series."""
        return {(name, series): each[metric] for name, found in self.metrics.items() for series, each in found.items()}

    def costs(self, name: str) -> list[float]:
        """Returns a cost of each series."""
        return [series[name] for result in self.runs.values() for series in result["series"].values()]


def check(folder: Path) -> None:
    """Raises AMSLError if the page lacks the marker lines of its section."""
    SECTION.split(folder / PAGE)


def write(results: Path, folder: Path, datasets: Mapping[str, str], detectors: Mapping[str, str]) -> Path:
    """Writes the tables.

    Args:
        results: The folder of the JSON files.
        folder: The folder of the page.
        datasets: The titles of the data sets by name.
        detectors: The titles of the detectors by name.

    Returns:
        The page.
    """
    parts = []
    for part, title in TITLES.items():
        rows = read_rows(results, part, datasets, detectors)
        tables = format_tables(rows, datasets, part) if rows else "No detector has been evaluated on them.\n"
        parts.append(f"## {title}\n\n{tables}")
    SECTION.replace(folder / PAGE, "\n".join(parts))
    return folder / PAGE


def read_rows(results: Path, part: str, datasets: Mapping[str, str], detectors: Mapping[str, str]) -> list[Row]:
    """Reads the results of complete runs, a row for each score of each detector, the best first, incomplete rows last."""
    rows = []
    for detector, title in detectors.items():
        files = {name: results / f"{detector}.{name}.{part}.json" for name in datasets}
        runs = {name: run for name, file in files.items() if file.exists() and (run := _read_run(file))}
        scores = {score: None for run in runs.values() for series in run["series"].values() for score in series["scores"]}
        for score in scores:
            metrics = {
                name: {series: each["scores"][score] for series, each in run["series"].items()} for name, run in runs.items()
            }
            rows.append(Row(title if score == OWN else f"{title}, {score_title(score)}", metrics, runs))
    return sorted(rows, key=lambda row: -(row.overall(RANKING_METRIC, [*datasets]) or 0.0))


def _read_run(file: Path) -> dict[str, Any] | None:
    """Reads a result; returns None if series are missing. Raises AMSLError if it has been damaged."""
    advice = f"Remove {file} and run it again."
    run = read_json(file, advice, ("names", "looks", "series"))
    try:
        for series in run["series"].values():
            needed = [series["seconds"], series["steps_per_second"]]
            for scores in series["scores"].values():
                needed += [scores[name] for name in (RANKING_METRIC, *OTHER_METRICS, *COUNTS)]
            if not np.isfinite(needed).all():
                raise ValueError("a number that is not finite")
        is_complete = {*run["series"]} == {*run["names"]} and np.isfinite(run["peak_memory_mb"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise AMSLError(f"{file}: not a complete result ({type(error).__name__}: {error}). {advice}") from error
    return run if is_complete else None


def format_tables(rows: Sequence[Row], datasets: Mapping[str, str], part: str) -> str:
    """Formats the three tables of a part: the ranking, all metrics, and thresholds and costs."""
    names = [*datasets]
    counts = [max(len(row.metrics.get(name, ())) for row in rows) for name in names]
    ranks, p_values = rank(rows, names)
    head = ["detector", *(f"{title} ({count})" for title, count in zip(datasets.values(), counts, strict=True))]
    ranking = []
    for row in rows:
        means = [*(row.mean(RANKING_METRIC, name) for name in names), row.overall(RANKING_METRIC, names)]
        ranking.append(
            [row.title, *map(_number, means), _number(ranks.get(row.title), ".1f"), _p_value(p_values.get(row.title))]
        )
    metrics = [[row.title, *(_number(row.overall(metric, names)) for metric in OTHER_METRICS)] for row in rows]
    return "\n".join(
        [
            "VUS-PR, mean over the series (number) of each data set:\n",
            markdown_table([*head, "mean", "mean rank", "p"], ranking),
            "Means over data sets of the other metrics; F1 and the range-based metrics at the threshold of the detector:\n",
            markdown_table(["detector", *OTHER_METRICS.values()], metrics),
            "Thresholds and costs, over all series:\n",
            _costs(rows, part),
        ]
    )


def _costs(rows: Sequence[Row], part: str) -> str:
    """Formats the table of false alarms, events, time and memory."""
    columns: dict[str, Callable[[Row], str]] = {
        "detector": lambda row: row.title,
        "false-alarm rate, median": lambda row: f"{np.median([*row.values('false_alarm_rate').values()]):.1%}",
        "90th percentile": lambda row: f"{np.percentile([*row.values('false_alarm_rate').values()], 90):.1%}",
        "events found": lambda row: f"{sum(row.values('events_found').values()):,} of {sum(row.values('events').values()):,}",
        "CPU seconds to fit, median": lambda row: _seconds(float(np.median(row.costs("seconds")))),
        "time steps scored per CPU second, median": lambda row: f"{np.median(row.costs('steps_per_second')):,.0f}",
        "peak memory, MB": lambda row: f"{max(run['peak_memory_mb'] for run in row.runs.values()):,.0f}",
    }
    if part == "test":
        columns["looks"] = lambda row: str(max(len(run["looks"]) for run in row.runs.values()))
    return markdown_table([*columns], [[cell(row) for cell in columns.values()] for row in rows])


def rank(rows: Sequence[Row], datasets: Sequence[str]) -> tuple[dict[str, float], dict[str, float]]:
    """Ranks the rows that have results on all data sets, series by series.

    Args:
        rows: The rows, the best first.
        datasets: The names of the data sets.

    Returns:
        By title, the mean over data sets of the mean rank over their series, 1 for the best; and for all rows but the first the
        p-value of Wilcoxon's signed-rank test over series against the first, adjusted by Holm's method for the number of rows.
    """
    complete = [row for row in rows if row.overall(RANKING_METRIC, datasets) is not None]
    if len(complete) < 2:
        return {}, {}
    series = [*complete[0].values(RANKING_METRIC)]
    table = np.array([[row.values(RANKING_METRIC)[key] for key in series] for row in complete])
    ranks = pd.DataFrame(rankdata(-table, axis=0).T).groupby([name for name, _ in series]).mean().mean()
    p_values = [1.0 if np.array_equal(table[0], other) else float(wilcoxon(table[0], other).pvalue) for other in table[1:]]
    titles = [row.title for row in complete]
    return dict(zip(titles, ranks, strict=True)), dict(zip(titles[1:], adjust(p_values), strict=True))


def adjust(p_values: Sequence[float]) -> list[float]:
    """Adjusts p-values for their number by Holm's step-down method."""
    order = np.argsort(p_values)
    adjusted = np.maximum.accumulate(np.asarray(p_values)[order] * np.arange(len(p_values), 0, -1))
    result = np.empty(len(p_values))
    result[order] = np.minimum(adjusted, 1.0)
    return result.tolist()


def _p_value(value: float | None) -> str:
    return "< 0.001" if value is not None and value < 0.001 else _number(value)


def _seconds(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.2g}"


def _number(value: float | None, spec: str = ".3f") -> str:
    return "" if value is None else f"{value:{spec}}"
