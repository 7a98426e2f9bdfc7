"""Measures: accuracy, robustness and pseudo-anomalies of detectors; speed and losses beside a plain port; preparation of data.

Which command makes which page: accuracy and table3 RESULTS.md and the tables in README.md, robustness docs/robustness.md,
pseudo benchmarks/PSEUDO.md, overgeneralisation a part of docs/method.md, speed a table in README.md, losses one in
benchmarks/NOTES.md; the others a JSON file each in benchmarks/results.
"""

import sys
from functools import partial
from importlib import import_module
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a checkout, nothing need be installed

from amsl_tf import cli
from amsl_tf.data.splits import PROTOCOLS

RESULTS = Path("benchmarks/results")


def main() -> None:
    parser = cli.Parser(str(__doc__).partition("\n")[0], output=False)
    rounds = cli.between(int, 1, 1000)
    kinds = parser.add_subparsers(dest="kind", required=True, parser_class=partial(cli.Parser, output=False))
    speed = kinds.add_parser("speed", description="Training and scoring, in one run.")
    speed.add_argument("--rounds", type=rounds, default=5, help="how often each variant is measured; medians are reported")
    speed.add_argument("--output", type=Path, default=RESULTS / "speed.json", help="file for the report")
    speed.add_argument("--tables", type=Path, default=Path(), help="folder of README.md")
    data = kinds.add_parser("data", description="Preprocessing and transformation, in one run.")
    data.add_argument("--source", type=Path, default=Path("data/DASADS"), help="folder with a01/p1/s01.txt and so on")
    data.add_argument("--files", type=int, default=600, help="how many files are read")
    data.add_argument("--rounds", type=rounds, default=3, help="how often each variant is measured; medians are reported")
    data.add_argument("--output", type=Path, default=RESULTS / "data.json", help="file for the report")
    losses = kinds.add_parser("losses", description="The losses of training beside those of the plain port.")
    cli.add_transformed(losses)
    losses.add_argument("--steps", type=cli.between(int, 1, 10**6), default=200, help="batches of 16 windows")
    losses.add_argument(
        "--rounds", type=rounds, default=3, help="how often each variant is trained, but for float64: once; means are compared"
    )
    losses.add_argument("--output", type=Path, default=RESULTS / "losses.json", help="file for the report")
    losses.add_argument("--tables", type=Path, default=Path("benchmarks"), help="folder of NOTES.md")
    accuracy = kinds.add_parser("accuracy", description="Experiments on DSADS; those that are finished are not run again.")
    table3 = kinds.add_parser(
        "table3", description="The detectors of the paper's Table 3 and others; those that are finished are not run again."
    )
    for parser_of, file in ((accuracy, "accuracy.toml"), (table3, "baselines.toml")):
        parser_of.add_argument("--only", nargs="+", metavar="NAME", help=f"experiments of benchmarks/{file}; else all")
        parser_of.add_argument("--tables", type=Path, default=Path(), help="folder of RESULTS.md and README.md")
    robustness = kinds.add_parser("robustness", description="AMSL where sensors are noisy, silent or late.")
    robustness.add_argument("--tables", type=Path, default=Path("docs"), help="folder of robustness.md and robustness.png")
    pseudo = kinds.add_parser("pseudo", description="Normal activities taken for abnormal: what settings are chosen by.")
    pseudo.add_argument("--tables", type=Path, default=Path("benchmarks"), help="folder of PSEUDO.md")
    for name, parser_of in (("accuracy", accuracy), ("robustness", robustness), ("pseudo", pseudo)):
        _add_runs(parser_of, RESULTS / name)
    _add_runs(table3, RESULTS / "accuracy")
    serving = kinds.add_parser("serving", description="The embedded server under load, beside the bare SavedModel.")
    serving.add_argument("--model", type=Path, default=Path("saved_models/serving/amsl"), help="folder that export.py wrote")
    serving.add_argument("--clients", type=int, default=64, help="at the same time")
    serving.add_argument("--seconds", type=float, default=60, help="of load")
    serving.add_argument("--output", type=Path, default=RESULTS / "serving.json", help="file for the report")
    study = kinds.add_parser("overgeneralisation", description="What autoencoders rebuild, by bottleneck and memory.")
    _add_input(study)
    study.add_argument("--sets", nargs="+", choices=("digits", "dsads"), default=("digits", "dsads"), help="data sets")
    study.add_argument("--results", type=Path, default=RESULTS / "overgeneralisation", help="folder of what is finished")
    study.add_argument("--tables", type=Path, default=Path("docs"), help="folder of method.md and overgeneralisation.png")
    arguments = vars(parser.parse_args())
    import_module(f"benchmarks.{arguments.pop('kind')}").run(**arguments)


def _add_runs(parser: cli.Parser, results: Path) -> None:
    """Adds what the benchmarks that train or use detectors have in common."""
    _add_input(parser)
    parser.add_argument("--protocols", nargs="+", choices=PROTOCOLS, default=PROTOCOLS, help="which protocols to run")
    parser.add_argument("--results", type=Path, default=results, help="folder of what is finished")
    parser.add_argument("--work", type=Path, default=Path("benchmarks/runs"), help="folder for detectors and interrupted runs")


def _add_input(parser: cli.Parser) -> None:
    parser.add_argument(
        "--input",
        dest="source",
        metavar="INPUT",
        type=Path,
        default=Path("data/generate_dataset"),
        help="preprocessing's folder",
    )


if __name__ == "__main__":
    cli.run(main)
