"""The folder of results: what training writes of every scored window, and the table that evaluation makes of it.

run.json  index.csv  metrics.json  report.html  figures/
{train_normal,normal,abnormal}_loss_{sum_mse,sparse,class}.csv    the original's files
{train_normal,normal,abnormal}_score_nearest_normal.csv           the project's own score
{train_normal,normal,abnormal}_view_error.csv                     what reconstruction sums up: a column for each view
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from amsl_tf.data.dsads import titled
from amsl_tf.data.files import atomic_file, read_json, write_json
from amsl_tf.data.store import PARTS, TEST_ABNORMAL, TEST_NORMAL, Part, read_index, write_index
from amsl_tf.data.windows import Windows
from amsl_tf.errors import AMSLError
from amsl_tf.evaluation import evaluate, flagged_by
from amsl_tf.saved import Summary

ENDINGS = {
    "reconstruction": "loss_sum_mse",
    "entropy": "loss_sparse",
    "right_view": "loss_class",
    "nearest_normal": "score_nearest_normal",
    "view_error": "view_error",
}
SCORES = ("reconstruction", "nearest_normal")
RUN, INDEX, METRICS, REPORT = "run.json", "index.csv", "metrics.json", "report.html"
MEASURES = {  # what both the table and the report say of a score
    "f1": "F1",
    "accuracy": "accuracy",
    "precision": "precision",
    "recall": "recall",
    "auroc": "AUROC",
    "average_precision": "average precision",
    "threshold": "threshold",
}
SHOWN = 3  # false alarms, and misses
FIGURES = {
    name: f"figures/{name}.png"
    for name in (
        *(f"{kind}_{score}" for score in SCORES for kind in ("scores", "confusion")),
        *("roc", "precision_recall", "by_activity", "by_subject", "view_errors", "losses", "fusion_gate"),
        *(f"memory_{measure}" for measure in ("effective_slots", "used_share", "attention_entropy")),
        *(f"{kind}_{number}" for kind in ("false_alarms", "misses") for number in range(1, SHOWN + 1)),
    )
}
ADVICE = "Run scripts/train.py first, or name the folder that it wrote with --results."


def write_results(folder: Path, run: dict[str, Any], scored: Mapping[Part, tuple[Windows, Mapping[str, np.ndarray]]]) -> None:
    """Writes the scores of all parts, and last run.json, which says that the others are whole.

    Args:
        folder: Made if need be; other files in it are left alone, what an earlier evaluation wrote is removed.
        run: What the scores come from.
        scored: For each part its windows and, by the keys of `ENDINGS`, the scores of these.
    """
    folder.mkdir(parents=True, exist_ok=True)
    former = [f"{part.name}_{ending}.csv" for part in PARTS for ending in ENDINGS.values()]
    for name in (RUN, METRICS, REPORT, INDEX, *FIGURES.values(), *former):
        (folder / name).unlink(missing_ok=True)
    rows: dict[str, list[str]] = {"set": [], "activity": [], "subject": [], "segment": []}
    for part, (windows, scores) in scored.items():
        for name, values in scores.items():
            with atomic_file(folder / f"{part.name}_{ENDINGS[name]}.csv") as file:
                np.savetxt(file, values, fmt="%.9g", delimiter=",")
        known = windows.index()
        for name, column in rows.items():
            column.extend([part.name] * len(windows) if name == "set" else known.get(name, np.full(len(windows), "")))
    with atomic_file(folder / INDEX) as file:
        write_index(file, {name: np.asarray(column) for name, column in rows.items()})
    write_json(folder / RUN, run)


class Tested(NamedTuple):
    """What a folder of results says of N test windows.

    Attributes:
        run: What the scores come from.
        part: (N,), the part that a window is of, `normal` or `abnormal`.
        row: int (N,), its place there.
        activity, subject, segment: (N,), what it shows, of whom, which part of the recording it is.
        scores: float32 (N,) by name.
        view_error: float32 (N, R), what the score by reconstruction is the sum of.
    """

    run: dict[str, Any]
    part: np.ndarray
    row: np.ndarray
    activity: np.ndarray
    subject: np.ndarray
    segment: np.ndarray
    scores: dict[str, np.ndarray]
    view_error: np.ndarray

    @property
    def abnormal(self) -> np.ndarray:
        """bool (N,)."""
        return self.part == TEST_ABNORMAL.name


def read_results(folder: Path, detector: Summary) -> Tested:
    """What a folder of results says of the test windows.

    Args:
        folder: As `write_results` left it.
        detector: What the detector that made these results says of itself.

    Raises:
        AMSLError: A file is missing or broken, or the results are another detector's.
    """
    run = read_json(folder / RUN, ADVICE, ("protocol", "seed", "input", "fingerprint"))
    if run["fingerprint"] != detector.data["fingerprint"]:
        raise AMSLError(f"{folder / RUN}: these are the scores of another detector. Name detector and results of the same run.")
    index = read_index(folder / INDEX, ADVICE, ("set", "activity", "subject", "segment"))
    rows = {part: np.flatnonzero(index["set"] == part.name) for part in (TEST_NORMAL, TEST_ABNORMAL)}
    if not all(map(len, rows.values())):
        raise AMSLError(f"{folder / INDEX}: expected normal and abnormal test windows, found one kind only. {ADVICE}")

    def read(name: str, axes: Literal[1, 2] = 1) -> np.ndarray:
        return np.concatenate(
            [_read_numbers(folder / f"{part.name}_{ENDINGS[name]}.csv", len(places), axes) for part, places in rows.items()]
        )

    scores, view_error = {name: read(name) for name in SCORES}, read("view_error", 2)
    if view_error.shape[1] != len(detector.config.model.views):
        raise AMSLError(f"{folder}: expected the errors of {len(detector.config.model.views)} views. {ADVICE}")
    known = {name: column[np.concatenate(list(rows.values()))] for name, column in index.items()}
    place = np.concatenate([np.arange(len(of_part)) for of_part in rows.values()])
    return Tested(run, known["set"], place, known["activity"], known["subject"], known["segment"], scores, view_error)


def evaluate_results(folder: Path, detector: Summary) -> dict[str, Any]:
    """Metrics of every score in a folder of results; writes them to metrics.json there.

    Args:
        folder: As `write_results` left it.
        detector: What the detector that made these results says of itself; its thresholds decide.

    Raises:
        AMSLError: As `read_results` does.
    """
    tested = read_results(folder, detector)
    metrics: dict[str, Any] = {"protocol": tested.run["protocol"], "decides": detector.config.score, "scores": {}}
    for name, scores in tested.scores.items():
        threshold = detector.threshold(name)
        metrics["scores"][name] = {
            **evaluate(scores, tested.abnormal, threshold),
            "by_activity": flagged_by(tested.activity, scores, tested.abnormal, threshold),
            "by_subject": flagged_by(tested.subject, scores, tested.abnormal, threshold),
        }
    write_json(folder / METRICS, metrics)
    return metrics


def table(metrics: Mapping[str, Any]) -> str:
    """The metrics as text: one row a score, then the flagged share of every activity and person."""
    scores: dict[str, Any] = metrics["scores"]
    rows = [["score", *MEASURES]]
    for name, values in scores.items():
        marked = f"{name} (decides)" if name == metrics["decides"] else name
        rows.append([marked, *(f"{values[column]:.4f}" for column in MEASURES)])
    lines = [f"protocol: {metrics['protocol']}, each window scored alone", "", *_aligned(rows, left=1)]
    for by in ("by_activity", "by_subject"):
        rows = [["flagged, %", "", "windows", *scores]]
        for label, classes in next(iter(scores.values()))[by].items():
            for kind, counted in classes.items():
                shares = (f"{100 * values[by][label][kind]['flagged']:.1f}" for values in scores.values())
                rows.append([titled(label), kind, f"{counted['windows']:,}", *shares])
        lines += ["", *_aligned(rows, left=2)]
    return "\n".join(lines)


def _aligned(rows: list[list[str]], left: int) -> list[str]:
    """Rows of cells as lines, the first `left` columns aligned left and the others right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if place < left else cell.rjust(width) for place, (cell, width) in enumerate(cells)
        ).rstrip()
        for cells in (zip(row, widths, strict=True) for row in rows)
    ]


def _read_numbers(path: Path, count: int, axes: Literal[1, 2]) -> np.ndarray:
    """The numbers of a CSV with so many rows, float32: (count,), or (count, columns) where there are two axes."""
    try:
        numbers = np.loadtxt(path, np.float32, delimiter=",", ndmin=axes)
    except FileNotFoundError as error:
        raise AMSLError(f"{path}: not found. {ADVICE}") from error
    except ValueError as error:
        raise AMSLError(f"{path}: expected one number in each row, or the same count in all ({error}). {ADVICE}") from error
    if numbers.ndim != axes or len(numbers) != count or not np.isfinite(numbers).all():
        found = f"expected {count} finite numbers as index.csv says, found shape={numbers.shape}"
        raise AMSLError(f"{path}: {found}. {ADVICE}")
    return numbers
