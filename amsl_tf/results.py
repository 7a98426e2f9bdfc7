"""The folder of results: what training writes of every scored window, and the table that evaluation makes of it.

run.json  index.csv  metrics.json
{train_normal,normal,abnormal}_loss_{sum_mse,sparse,class}.csv    the original's files
{train_normal,normal,abnormal}_score_nearest_normal.csv           the project's own score
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from amsl_tf.data.dsads import ACTIVITIES
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
}
SCORES = ("reconstruction", "nearest_normal")
RUN, INDEX, METRICS = "run.json", "index.csv", "metrics.json"
ADVICE = "Run scripts/train.py first, or name the folder that it wrote with --results."


def write_results(folder: Path, run: dict[str, Any], scored: Mapping[Part, tuple[Windows, Mapping[str, np.ndarray]]]) -> None:
    """Writes the scores of all parts, and last run.json, which says that the others are whole.

    Args:
        folder: Made if need be; other files in it are left alone, metrics of an earlier run are removed.
        run: What the scores come from.
        scored: For each part its windows and, by the keys of `ENDINGS`, the scores of these.
    """
    folder.mkdir(parents=True, exist_ok=True)
    former = [f"{part.name}_{ending}.csv" for part in PARTS for ending in ENDINGS.values()]
    for name in (RUN, METRICS, INDEX, *former):
        (folder / name).unlink(missing_ok=True)
    rows: dict[str, list[str]] = {"set": [], "activity": [], "subject": [], "segment": []}
    for part, (windows, scores) in scored.items():
        for name, values in scores.items():
            with atomic_file(folder / f"{part.name}_{ENDINGS[name]}.csv") as file:
                np.savetxt(file, values, fmt="%.9g")
        known = windows.index()
        for name, column in rows.items():
            column.extend([part.name] * len(windows) if name == "set" else known.get(name, np.full(len(windows), "")))
    with atomic_file(folder / INDEX) as file:
        write_index(file, {name: np.asarray(column) for name, column in rows.items()})
    write_json(folder / RUN, run)


def evaluate_results(folder: Path, detector: Summary) -> dict[str, Any]:
    """Metrics of every score in a folder of results; writes them to metrics.json there.

    Args:
        folder: As `write_results` left it.
        detector: What the detector that made these results says of itself; its thresholds decide.

    Raises:
        AMSLError: A file is missing or broken, or the results are another detector's.
    """
    run = read_json(folder / RUN, ADVICE, ("protocol", "fingerprint"))
    if run["fingerprint"] != detector.data["fingerprint"]:
        raise AMSLError(f"{folder / RUN}: these are the scores of another detector. Name detector and results of the same run.")
    index = read_index(folder / INDEX, ADVICE, ("set", "activity", "subject"))
    parts = {part: index["set"] == part.name for part in PARTS}
    is_test = parts[TEST_NORMAL] | parts[TEST_ABNORMAL]
    abnormal = parts[TEST_ABNORMAL][is_test]
    if abnormal.all() or not abnormal.any():
        raise AMSLError(f"{folder / INDEX}: expected normal and abnormal test windows, found one kind only. {ADVICE}")
    metrics: dict[str, Any] = {"protocol": run["protocol"], "decides": detector.config.score, "scores": {}}
    for name in SCORES:
        scores = np.empty(len(is_test), np.float32)
        for part, rows in parts.items():
            scores[rows] = _read_scores(folder / f"{part.name}_{ENDINGS[name]}.csv", int(rows.sum()))
        threshold = detector.threshold(name)
        tested = scores[is_test]
        metrics["scores"][name] = {
            **evaluate(tested, abnormal, threshold),
            "by_activity": flagged_by(index["activity"][is_test], tested, abnormal, threshold),
            "by_subject": flagged_by(index["subject"][is_test], tested, abnormal, threshold),
        }
    write_json(folder / METRICS, metrics)
    return metrics


def table(metrics: Mapping[str, Any]) -> str:
    """The metrics as text: one row a score, then the flagged share of every activity and person."""
    scores: dict[str, Any] = metrics["scores"]
    columns = ("f1", "accuracy", "precision", "recall", "auroc", "average_precision", "threshold")
    rows = [["score", *columns]]
    for name, values in scores.items():
        marked = f"{name} (decides)" if name == metrics["decides"] else name
        rows.append([marked, *(f"{values[column]:.4f}" for column in columns)])
    lines = [f"protocol: {metrics['protocol']}, each window scored alone", "", *_aligned(rows, left=1)]
    for by in ("by_activity", "by_subject"):
        rows = [["flagged, %", "", "windows", *scores]]
        for label, classes in next(iter(scores.values()))[by].items():
            for kind, counted in classes.items():
                shares = (f"{100 * values[by][label][kind]['flagged']:.1f}" for values in scores.values())
                rows.append([f"{label} {ACTIVITIES.get(label, '')}".rstrip(), kind, f"{counted['windows']:,}", *shares])
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


def _read_scores(path: Path, count: int) -> np.ndarray:
    try:
        scores = np.loadtxt(path, np.float32, ndmin=1)
    except FileNotFoundError as error:
        raise AMSLError(f"{path}: not found. {ADVICE}") from error
    except ValueError as error:
        raise AMSLError(f"{path}: expected one number in each row ({error}). {ADVICE}") from error
    if scores.shape != (count,) or not np.isfinite(scores).all():
        raise AMSLError(f"{path}: expected {count} finite numbers as index.csv says, found shape={scores.shape}. {ADVICE}")
    return scores
