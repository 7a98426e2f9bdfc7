"""The fourth stage: computes the metrics of a training run and writes the report."""

from pathlib import Path
from typing import Any, NamedTuple

from amsl_tf.evaluation.report import write_report
from amsl_tf.evaluation.results import METRICS, evaluate_results
from amsl_tf.persistence import read_summary


class Evaluation(NamedTuple):
    """The result of `evaluate_detector`.

    Attributes:
        metrics: The metrics of every score, see `evaluate_results`.
        metrics_file: The file that holds them.
        report: The HTML page.
    """

    metrics: dict[str, Any]
    metrics_file: Path
    report: Path


def evaluate_detector(detector: Path, results: Path) -> Evaluation:
    """Evaluates the scores that `train_detector` wrote.

    Args:
        detector: The folder of the detector.
        results: The folder of the scores, which gets metrics.json, report.html and figures.

    Returns:
        The metrics and the files that were written.

    Raises:
        AMSLError: A file is missing or broken, or the results are those of another detector.
    """
    metrics = evaluate_results(results, read_summary(detector))
    return Evaluation(metrics, results / METRICS, write_report(results, detector, metrics))
