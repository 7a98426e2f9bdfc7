"""Reads a data set and writes all normal and all abnormal windows as arrays, with an index beside each."""

import argparse
from pathlib import Path

from amsl_tf.cli.common import Parser, local_path
from amsl_tf.datasets import DATASETS, usual_folder


def add_arguments(parser: Parser) -> None:
    """Adds the arguments of the command."""
    parser.add_argument("--dataset", choices=tuple(DATASETS), default="dsads", help="data set")
    parser.add_argument("--source", type=local_path, help="folder of the data set; by default data/DASADS, data/skab and so on")
    parser.add_argument("--output", type=local_path, default=Path("data/generate_dataset"), help="folder to write")


def run(arguments: argparse.Namespace, parser: Parser) -> None:
    """Runs the command."""
    from amsl_tf.stages.preprocessing import preprocess

    shapes = preprocess(arguments.source or usual_folder(arguments.dataset), arguments.output, arguments.dataset)
    lines = (
        f"{arguments.output / name}.npy: {shape[0]:,} windows of {shape[1]} time steps and {shape[2]} channels"
        for name, shape in shapes.items()
    )
    parser.print_result("\n".join(lines), {"output": arguments.output, "shapes": shapes})
