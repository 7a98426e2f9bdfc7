"""Exports a trained detector as the next version of a model for TF Serving: views, network, score and threshold in one."""

import argparse
from pathlib import Path

from amsl_tf.cli.common import Parser, local_path, require_extra


def add_arguments(parser: Parser) -> None:
    """Adds the arguments of the command."""
    parser.add_argument("--detector", type=local_path, default=Path("saved_models/amsl"), help="folder of the detector")
    parser.add_argument(
        "--output",
        type=local_path,
        default=Path("saved_models/serving/amsl"),
        help="folder of the model, which gives it its name",
    )


def run(arguments: argparse.Namespace, parser: Parser) -> None:
    """Runs the command."""
    with require_extra("serving"):
        from amsl_tf.detector import AMSLDetector
        from amsl_tf.export.writer import export_detector

    model = export_detector(AMSLDetector.load(arguments.detector), arguments.output)
    parser.print_result(f"model: {model}", {"model": model})
