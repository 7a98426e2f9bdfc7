"""Splits the windows into training and test and writes the seven views of each part."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a checkout, nothing need be installed

from amsl_tf import cli
from amsl_tf.data.splits import PROTOCOLS


def main() -> None:
    parser = cli.Parser(__doc__)
    parser.add_argument("--input", type=Path, default=Path("data/generate_dataset"), help="folder that preprocessing.py wrote")
    parser.add_argument("--output", type=Path, default=Path("data/transform_dataset"), help="folder to write")
    parser.add_argument(
        "--protocol", choices=PROTOCOLS, default="window", help="random split, or test on people who are not trained on"
    )
    parser.add_argument(
        "--test-subjects", nargs="+", help="people of the test set, with --protocol subject; 6 7 8 if not given"
    )
    parser.add_argument("--seed", type=int, default=0, help="fixes the split and the views")
    arguments = parser.parse_args()
    people = arguments.test_subjects or (["6", "7", "8"] if arguments.protocol == "subject" else [])
    from amsl_tf.transformation import transform  # late: it starts TensorFlow, which takes seconds

    counts = transform(
        arguments.input,
        arguments.output,
        protocol=arguments.protocol,
        test_subjects=people,
        seed=arguments.seed,
    )
    said = ", ".join(f"{count:,} {name}" for name, count in counts.items())
    parser.tell(
        f"{arguments.output}: protocol {arguments.protocol}, {said}",
        {"output": arguments.output, "protocol": arguments.protocol, "windows": counts},
    )


if __name__ == "__main__":
    cli.run(main)
