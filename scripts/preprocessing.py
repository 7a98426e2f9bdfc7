"""Reads the text files of DSADS and writes all normal and all abnormal windows as arrays, with an index beside each."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a checkout, nothing need be installed

from amsl_tf import cli
from amsl_tf.data.preprocessing import preprocess


def main() -> None:
    parser = cli.Parser(__doc__)
    parser.add_argument("--source", type=Path, default=Path("data/DASADS"), help="folder with a01/p1/s01.txt and so on")
    parser.add_argument("--output", type=Path, default=Path("data/generate_dataset"), help="folder to write")
    arguments = parser.parse_args()
    shapes = preprocess(arguments.source, arguments.output)
    lines = (
        f"{arguments.output / name}.npy: {shape[0]:,} windows of {shape[1]} time steps and {shape[2]} channels"
        for name, shape in shapes.items()
    )
    parser.tell("\n".join(lines), {"output": arguments.output, "shapes": shapes})


if __name__ == "__main__":
    cli.run(main)
