"""Measures: `accuracy` of all experiments, `speed` and `losses` beside a plain port, `data` preparation beside a plain loop."""

import sys
from importlib import import_module
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a checkout, nothing need be installed

from amsl_tf import cli
from amsl_tf.data.splits import PROTOCOLS

RESULTS = Path("benchmarks/results")


def main() -> None:
    parser = cli.Parser(__doc__)
    kinds = parser.add_subparsers(dest="kind", required=True)
    speed = kinds.add_parser("speed", description="Training and scoring, in one run.")
    speed.add_argument("--rounds", type=int, default=5, help="how often each variant is measured; medians are reported")
    speed.add_argument("--output", type=Path, default=RESULTS / "speed.json", help="file for the report")
    data = kinds.add_parser("data", description="Preprocessing and transformation, in one run.")
    data.add_argument("--source", type=Path, default=Path("data/DASADS"), help="folder with a01/p1/s01.txt and so on")
    data.add_argument("--files", type=int, default=600, help="how many files are read")
    data.add_argument("--rounds", type=int, default=3, help="how often each variant is measured; medians are reported")
    data.add_argument("--output", type=Path, default=RESULTS / "data.json", help="file for the report")
    losses = kinds.add_parser("losses", description="The losses of training beside those of the plain port.")
    cli.add_transformed(losses)
    losses.add_argument("--steps", type=int, default=200, help="batches of 16 windows")
    losses.add_argument("--output", type=Path, default=RESULTS / "losses.json", help="file for the report")
    accuracy = kinds.add_parser("accuracy", description="Experiments on DSADS; those that are finished are not run again.")
    accuracy.add_argument(
        "--input",
        dest="source",
        metavar="INPUT",
        type=Path,
        default=Path("data/generate_dataset"),
        help="preprocessing's folder",
    )
    accuracy.add_argument(
        "--only", nargs="+", default=(), metavar="NAME", help="experiments of benchmarks/accuracy.toml; else all"
    )
    accuracy.add_argument("--protocols", nargs="+", choices=PROTOCOLS, default=PROTOCOLS, help="which protocols to run")
    accuracy.add_argument("--results", type=Path, default=RESULTS / "accuracy", help="folder of the finished runs")
    accuracy.add_argument(
        "--work", type=Path, default=Path("benchmarks/runs"), help="folder for detectors and interrupted runs"
    )
    accuracy.add_argument("--tables", type=Path, default=Path(), help="folder of RESULTS.md and README.md")
    arguments = vars(parser.parse_args())
    import_module(f"benchmarks.{arguments.pop('kind')}").run(**arguments)


if __name__ == "__main__":
    cli.run(main)
