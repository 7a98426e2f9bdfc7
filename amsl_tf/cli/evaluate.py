"""Prints the metrics of the scores of the last training run; writes metrics.json and report.html."""

import argparse
from pathlib import Path

from amsl_tf.cli.common import Parser, local_path


def add_arguments(parser: Parser) -> None:
    """Adds the arguments of the command."""
    parser.add_argument("--detector", type=local_path, default=Path("saved_models/amsl"), help="folder of the detector")
    parser.add_argument("--results", type=local_path, default=Path("results"), help="folder that train wrote its scores to")


def run(arguments: argparse.Namespace, parser: Parser) -> None:
    """Runs the command."""
    from amsl_tf.evaluation.results import table
    from amsl_tf.stages.evaluation import evaluate_detector

    metrics, metrics_file, report = evaluate_detector(arguments.detector, arguments.results)
    parser.print_result(f"{table(metrics)}\n\nmetrics: {metrics_file}\nreport:  {report}", metrics)
