"""Splits the windows into training and test, and writes the views of each part."""

import argparse
from pathlib import Path

from amsl_tf.cli.common import Parser, local_path


def add_arguments(parser: Parser) -> None:
    """Adds the arguments of the command."""
    from amsl_tf.data.splits import PROTOCOLS

    parser.add_argument("--input", type=local_path, default=Path("data/generate_dataset"), help="folder that preprocess wrote")
    parser.add_argument("--output", type=local_path, default=Path("data/transform_dataset"), help="folder to write")
    parser.add_argument(
        "--protocol", choices=PROTOCOLS, default="window", help="random split, or test on subjects unseen in training"
    )
    parser.add_argument(
        "--test-subjects",
        nargs="+",
        help="test subjects of --protocol subject (DSADS: 6 7 8 by default)",
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the split and the views")


def run(arguments: argparse.Namespace, parser: Parser) -> None:
    """Runs the command."""
    from amsl_tf.stages.transformation import transform

    counts = transform(
        arguments.input,
        arguments.output,
        protocol=arguments.protocol,
        test_subjects=arguments.test_subjects,
        seed=arguments.seed,
    )
    summary = ", ".join(f"{count:,} {name}" for name, count in counts.items())
    parser.print_result(
        f"{arguments.output}: protocol {arguments.protocol}, {summary}",
        {"output": arguments.output, "protocol": arguments.protocol, "windows": counts},
    )
