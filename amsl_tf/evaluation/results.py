"""The folder of results: the scores of every window that training writes, and the metrics that evaluation adds.

run.json  index.csv  metrics.json  report.html  figures/
{train_normal,normal,abnormal}_loss_{sum_mse,sparse,class}.csv    the files of the original code
{train_normal,normal,abnormal}_score_NAME.csv                     every other score
{train_normal,normal,abnormal}_view_error.csv                     the error of each view, a column each; only with a network
"""

import logging
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from tabulate import tabulate

from amsl_tf.data.files import atomic_file, check_regular, read_json, write_json
from amsl_tf.data.store import PARTS, TEST_ABNORMAL, TEST_NORMAL, Part, read_index, write_index
from amsl_tf.data.windows import Windows
from amsl_tf.errors import AMSLError
from amsl_tf.evaluation.metrics import evaluate, flagged_by
from amsl_tf.persistence import DetectorSummary

ENDINGS = {
    "reconstruction": "loss_sum_mse",
    "entropy": "loss_sparse",
    "right_view": "loss_class",
    "view_error": "view_error",
}
RUN, INDEX, METRICS, REPORT = "run.json", "index.csv", "metrics.json", "report.html"
MEASURES = {  # the metrics in the table and the report, with their titles
    "f1": "F1",
    "accuracy": "accuracy",
    "precision": "precision",
    "recall": "recall",
    "auroc": "AUROC",
    "average_precision": "average precision",
    "threshold": "threshold",
}
MEASURES_OF_NORMAL = {"false_positive_rate": "false-positive rate", "threshold": "threshold"}  # without abnormal windows
UNKNOWN = "(unknown)"  # an activity or a subject
SHOWN = 3  # false alarms, and misses, in the report
FIGURES = "figures"
_FIGURE_NAMES = (  # patterns of the names of all figures of a report, without .png
    *(
        "scores_*",
        "confusion_*",
        "roc",
        "precision_recall",
        "by_activity",
        "by_subject",
        "view_errors",
        "losses",
        "fusion_gate",
    ),
    *("memory_effective_slots", "memory_used_share", "memory_attention_entropy"),
    *(f"{kind}_{number}" for kind in ("false_alarms", "misses") for number in range(1, SHOWN + 1)),
)
ADVICE = "Run amsl train first, or name the folder that it wrote with --results."

log = logging.getLogger(__name__)


def write_results(folder: Path, run: dict[str, Any], scored: Mapping[Part, tuple[Windows, Mapping[str, np.ndarray]]]) -> None:
    """Writes the scores of all parts, and last run.json, which marks the others as complete.

    Args:
        folder: The folder, created if needed; the results of an earlier run in it are removed, other files are kept.
        run: The origin of the scores.
        scored: The windows of each part, and the result of `AMSLDetector.score_components` for them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    former = [f"{part.name}_{ending}.csv" for part in PARTS for ending in (*ENDINGS.values(), "score_*")]
    for pattern in (RUN, METRICS, REPORT, INDEX, *former):
        for file in folder.glob(pattern):
            file.unlink()
    remove_figures(folder)
    rows: dict[str, list[str]] = {"set": [], "activity": [], "subject": [], "segment": []}
    for part, (windows, scores) in scored.items():
        for name, values in scores.items():
            with atomic_file(_score_file(folder, part, name)) as file:
                np.savetxt(file, values, fmt="%.9g", delimiter=",")
        columns = windows.columns()
        for name, column in rows.items():
            column.extend([part.name] * len(windows) if name == "set" else columns.get(name, np.full(len(windows), "")))
    with atomic_file(folder / INDEX) as file:
        write_index(file, {name: np.asarray(column) for name, column in rows.items()})
    write_json(folder / RUN, run)


def remove_figures(folder: Path) -> None:
    """Removes the figures of a report from a folder of results; other files are kept."""
    for name in _FIGURE_NAMES:
        for file in (folder / FIGURES).glob(f"{name}.png"):
            file.unlink()


class TestResults(NamedTuple):
    """The results of N test windows with R views.

    Attributes:
        run: The origin of the scores.
        part: (N,), the part of each window, `normal` or `abnormal`.
        row: int (N,), its row in the part.
        activity, subject, segment: (N,), its metadata, empty where unknown.
        scores: float32 (N,) by name, dimensionless.
        view_error: float32 (N, R), the terms of the reconstruction score, squared errors in scaled units; None if there is no
            network.
    """

    run: dict[str, Any]
    part: np.ndarray
    row: np.ndarray
    activity: np.ndarray
    subject: np.ndarray
    segment: np.ndarray
    scores: dict[str, np.ndarray]
    view_error: np.ndarray | None

    @property
    def abnormal(self) -> np.ndarray:
        """The true classes, bool (N,)."""
        return self.part == TEST_ABNORMAL.name

    def by_class(self, values: np.ndarray) -> dict[str, np.ndarray]:
        """Returns the values of all windows (N, ...) by the classes that occur, normal windows first."""
        return {part: values[self.part == part] for part in dict.fromkeys(self.part.tolist())}

    def title(self, activity: str) -> str:
        """Returns an activity with its title, if the data set has titles, as in `a05 ascending stairs`."""
        return activity_title(activity, self.run)


def activity_title(activity: str, run: Mapping[str, Any]) -> str:
    """Returns an activity with its title, if it has one, as in `a05 ascending stairs`.

    Args:
        activity: The name of the activity.
        run: The origin of the scores, or metrics, with the titles in `labels`.
    """
    return f"{activity} {run.get('labels', {}).get(activity, '')}".rstrip()


def read_results(folder: Path, detector: DetectorSummary) -> TestResults:
    """Reads the results of the test windows.

    Args:
        folder: A folder that `write_results` wrote.
        detector: The summary of the detector that made the results.

    Returns:
        The scores and metadata of the test windows, normal ones first; there may be no abnormal ones.

    Raises:
        AMSLError: A file is missing or broken, or the results are those of another detector.
    """
    run = read_json(folder / RUN, ADVICE, ("protocol", "seed", "input", "fingerprint"))
    if not isinstance(run["input"], str) or not isinstance(run.get("labels", {}), dict):
        raise AMSLError(f"{folder / RUN}: expected a path as input and titles as labels. {ADVICE}")
    if run["fingerprint"] != detector.data["fingerprint"]:
        raise AMSLError(f"{folder / RUN}: the scores of another detector. Name detector and results of the same run.")
    index = read_index(folder / INDEX, ADVICE, ("set", "activity", "subject", "segment"))
    rows = {part: np.flatnonzero(index["set"] == part.name) for part in (TEST_NORMAL, TEST_ABNORMAL)}
    if not len(rows[TEST_NORMAL]):
        raise AMSLError(f"{folder / INDEX}: expected normal test windows, found none. {ADVICE}")

    def read(name: str, axes: Literal[1, 2] = 1) -> np.ndarray:
        numbers = []
        for part, places in rows.items():
            file = _score_file(folder, part, name)
            if len(places) or file.exists():  # scores of no windows are an error
                numbers.append(_read_numbers(file, len(places), axes))
        return np.concatenate(numbers)

    scores = {name: read(name) for name in detector.config.scores}
    view_error = None if detector.config.network is None else read("view_error", 2)
    if view_error is not None and view_error.shape[1] != len(detector.config.views):
        raise AMSLError(f"{folder}: expected the errors of {len(detector.config.views)} views. {ADVICE}")
    columns = {name: column[np.concatenate(list(rows.values()))] for name, column in index.items()}
    row = np.concatenate([np.arange(len(places)) for places in rows.values()])
    return TestResults(
        run, columns["set"], row, columns["activity"], columns["subject"], columns["segment"], scores, view_error
    )


def evaluate_results(folder: Path, detector: DetectorSummary) -> dict[str, Any]:
    """Computes the metrics of every score in a folder of results and writes them to metrics.json there.

    Args:
        folder: A folder that `write_results` wrote.
        detector: The summary of the detector that made the results, with the thresholds.

    Returns:
        The contents of the file, which are `protocol`; `decides`, the name of the decision score; `labels`, the titles of
        activities; and `scores`, for each score the result of `evaluate`, with `by_activity` and `by_subject` of `flagged_by`.

    Raises:
        AMSLError: A file is missing or broken, or the results are those of another detector.
    """
    results = read_results(folder, detector)
    if not results.abnormal.any():
        log.warning(f"{folder}: no abnormal test windows. Only false alarms are measured.")
    metrics: dict[str, Any] = {
        "protocol": results.run["protocol"],
        "decides": detector.config.score,
        "labels": results.run.get("labels", {}),
        "scores": {},
    }
    for name, scores in results.scores.items():
        threshold = detector.threshold(name)
        metrics["scores"][name] = {
            **evaluate(scores, results.abnormal, threshold),
            "by_activity": flagged_by(results.activity, scores, results.abnormal, threshold),
            "by_subject": flagged_by(results.subject, scores, results.abnormal, threshold),
        }
    write_json(folder / METRICS, metrics)
    return metrics


def shown_measures(metrics: Mapping[str, Any]) -> dict[str, str]:
    """Returns the names of the metrics to show, with their titles: `MEASURES`, or what is known without abnormal windows.

    Args:
        metrics: The result of `evaluate_results`.
    """
    return MEASURES if "recall" in next(iter(metrics["scores"].values())) else MEASURES_OF_NORMAL


def table(metrics: Mapping[str, Any]) -> str:
    """Formats metrics as text.

    Args:
        metrics: The result of `evaluate_results`.

    Returns:
        A table with a row for each score, then tables of the flagged share of every activity and subject that is known, in
        percent.
    """
    scores: dict[str, Any] = metrics["scores"]
    measures = shown_measures(metrics)
    rows = [
        [f"{name} (decides)" if name == metrics["decides"] else name, *(f"{values[column]:.4f}" for column in measures)]
        for name, values in scores.items()
    ]
    parts = [f"protocol: {metrics['protocol']}, each window scored alone", _format(["score", *measures], rows, left=1)]
    for by in ("by_activity", "by_subject"):
        labels = next(iter(scores.values()))[by]
        if not any(labels):  # unknown for all windows
            continue
        rows = []
        for label, classes in labels.items():
            for kind, counts in classes.items():
                shares = (f"{100 * values[by][label][kind]['flagged']:.1f}" for values in scores.values())
                rows.append([activity_title(label, metrics) or UNKNOWN, kind, f"{counts['windows']:,}", *shares])
        parts.append(_format(["flagged, %", "", "windows", *scores], rows, left=2))
    return "\n\n".join(parts)


def _format(head: list[str], rows: list[list[str]], left: int) -> str:
    """Formats cells as a plain table, the first `left` columns aligned left and the others right."""
    align = ["left" if place < left else "right" for place in range(len(head))]
    text = tabulate(rows, head, tablefmt="plain", colalign=align, disable_numparse=True)
    return "\n".join(line.rstrip() for line in text.splitlines())


def _score_file(folder: Path, part: Part, name: str) -> Path:
    return folder / f"{part.name}_{ENDINGS.get(name, f'score_{name}')}.csv"


def _read_numbers(path: Path, count: int, axes: Literal[1, 2]) -> np.ndarray:
    """Reads the numbers of a CSV with `count` rows, float32: (count,), or (count, columns) for two axes."""
    check_regular(path, ADVICE)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of an empty file, an error below
            numbers = np.loadtxt(path, np.float32, delimiter=",", ndmin=axes)
    except (OSError, ValueError) as error:
        raise AMSLError(f"{path}: expected rows of numbers, the same count in each ({error}). {ADVICE}") from error
    if numbers.ndim != axes or len(numbers) != count or not np.isfinite(numbers).all():
        found = f"expected {count} finite numbers as in index.csv, found shape={numbers.shape}"
        raise AMSLError(f"{path}: {found}. {ADVICE}")
    return numbers
