"""Runs the benchmarks: accuracy, robustness and pseudo-anomalies of detectors; speed, losses, data preparation and serving.

Results are JSON files in benchmarks/results, from which the commands generate pages: accuracy and table3 RESULTS.md and tables
in docs/results.md and README.md, series and coverage tables in docs/series.md, events a table there and in RESULTS.md,
robustness docs/robustness.md, objectives tables in docs/objectives.md, pseudo benchmarks/PSEUDO.md, speed and cost tables in
docs/performance.md, scale those in docs/scale.md, overgeneralisation tables in docs/method.md, and losses two in
benchmarks/NOTES.md.
"""

import sys
from argparse import SUPPRESS
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a checkout without installation

from amsl_tf.cli.common import Parser, add_transformed, call, number_between
from amsl_tf.data.splits import PROTOCOLS

RESULTS = Path("benchmarks/results")
IF_INTERRUPTED = "finished results are kept"


def main() -> None:
    parser = Parser(str(__doc__).partition("\n")[0], output=False)
    commands = parser.add_subparsers(
        dest="command", metavar="COMMAND", required=True, parser_class=partial(Parser, output=False)
    )

    accuracy = _add_command(commands, "accuracy", "Run the experiments on DSADS that have no result, and write the tables.")
    table3 = _add_command(commands, "table3", "Run the baselines, those of the paper's Table 3 and others, like accuracy.")
    for command, file in ((accuracy, "accuracy.toml"), (table3, "baselines.toml")):
        _add_study(command, RESULTS / "accuracy")
        command.add_argument("--only", nargs="+", metavar="NAME", help=f"experiments of benchmarks/{file}; by default all")
        command.add_argument("--tables", type=Path, default=Path(), help="folder of RESULTS.md, README.md and docs/results.md")

    robustness = _add_command(commands, "robustness", "Evaluate detectors with noise, or a silent or delayed sensor unit.")
    _add_study(robustness, RESULTS / "robustness")
    robustness.add_argument("--tables", type=Path, default=Path("docs"), help="folder of robustness.md and robustness.png")

    pseudo = _add_command(commands, "pseudo", "Evaluate scores on normal activities that are treated as abnormal.")
    _add_study(pseudo, RESULTS / "pseudo")
    pseudo.add_argument("--tables", type=Path, default=Path("benchmarks"), help="folder of PSEUDO.md")

    series = _add_command(commands, "series", "Fit detectors to public series, and rank them by time step.")
    series.add_argument(
        "--data", type=Path, default=Path("data"), help="folder with a folder for each data set: skab, smd, ..."
    )
    series.add_argument("--results", type=Path, default=RESULTS / "series", help="folder of the results")
    series.add_argument("--only", nargs="+", metavar="NAME", help="detectors of benchmarks/series.toml; by default all")
    series.add_argument("--datasets", nargs="+", metavar="NAME", help="data sets of benchmarks/series.toml; by default all")
    series.add_argument("--final", action="store_true", help="use the test series, for frozen detectors")
    series.add_argument("--again", metavar="REASON", help="repeat finished runs on the test series, which the page counts")
    series.add_argument("--tables", type=Path, default=Path("docs"), help="folder of series.md")

    coverage = _add_command(commands, "coverage", "Measure how often the ensemble flags normal rows it was not fitted to.")
    coverage.add_argument(
        "--data", type=Path, default=Path("data"), help="folder with a folder for each data set: skab, smd, ..."
    )
    coverage.add_argument(
        "--results", type=Path, default=RESULTS / "coverage", help="folder of the results, beside that of the series benchmark"
    )
    coverage.add_argument("--tables", type=Path, default=Path("docs"), help="folder of series.md")

    events = _add_command(commands, "events", "Compare the events of recordings with labelled ones.")
    events.add_argument("--data", type=Path, default=Path("data"), help="folder with a folder for each data set: skab, smd")
    events.add_argument("--results", type=Path, default=RESULTS / "events.json", help="file of the results")
    events.add_argument("--tables", type=Path, default=Path(), help="folder of docs/series.md and RESULTS.md")

    objectives = _add_command(commands, "objectives", "Compare the ensemble with and without a member that is trained.")
    _add_input(objectives)
    objectives.add_argument("--data", type=Path, default=Path("data"), help="folder with a folder for each data set of series")
    objectives.add_argument("--results", type=Path, default=RESULTS / "objectives", help="folder of the results")
    objectives.add_argument("--only", nargs="+", metavar="NAME", help="objectives: amsl, triplet, ...; by default all")
    objectives.add_argument("--datasets", nargs="+", metavar="NAME", help="data sets: dsads, skab, ...; by default all")
    objectives.add_argument("--seeds", type=number_between(int, 1, 1000), default=3, help="number of seeds")
    objectives.add_argument("--tables", type=Path, default=Path("docs"), help="folder of objectives.md")

    study = _add_command(commands, "overgeneralisation", "Measure reconstruction errors by bottleneck width and memory.")
    _add_input(study)
    study.add_argument("--sets", nargs="+", choices=("digits", "dsads"), default=("digits", "dsads"), help="data sets")
    study.add_argument("--results", type=Path, default=RESULTS / "overgeneralisation", help="folder of the results")
    study.add_argument("--tables", type=Path, default=Path("docs"), help="folder of method.md and overgeneralisation.png")

    speed = _add_command(commands, "speed", "Measure training and scoring, compared with a plain port and PyTorch.")
    _add_measurement(speed, "speed", rounds=5)
    speed.add_argument(
        "--from-file", action="store_true", default=SUPPRESS, help="write the table of the stored report without measuring"
    )
    speed.add_argument("--tables", type=Path, default=Path("docs"), help="folder of performance.md")

    cost = _add_command(commands, "cost", "Measure the time and memory of detectors, beside their accuracy.")
    _add_input(cost)
    _add_measurement(cost, "cost", rounds=3)
    cost.add_argument(
        "--from-file", action="store_true", default=SUPPRESS, help="write the tables of the stored report without measuring"
    )
    cost.add_argument("--tables", type=Path, default=Path("docs"), help="folder of performance.md")

    losses = _add_command(commands, "losses", "Compare the training losses with those of a plain port.")
    add_transformed(losses)
    losses.add_argument("--steps", type=number_between(int, 1, 10**6), default=200, help="batches of 16 windows")
    _add_measurement(losses, "losses", rounds=3)
    losses.add_argument("--from-file", action="store_true", default=SUPPRESS, help="compare the stored losses without training")
    losses.add_argument("--tables", type=Path, default=Path("benchmarks"), help="folder of NOTES.md")

    data = _add_command(commands, "data", "Measure preprocessing and transformation, compared with plain loops.")
    data.add_argument("--source", type=Path, default=Path("data/DASADS"), help="folder of DSADS, with a01/p1/s01.txt and so on")
    data.add_argument("--files", type=number_between(int, 1, 10**6), default=600, help="files to read")
    _add_measurement(data, "data", rounds=3)

    serving = _add_command(commands, "serving", "Load-test the embedded server, compared with the bare SavedModel.")
    serving.add_argument("--model", type=Path, default=Path("saved_models/serving/amsl"), help="folder of the exported model")
    serving.add_argument("--clients", type=number_between(int, 1, 10**4), default=64, help="concurrent clients")
    serving.add_argument("--minutes", type=number_between(float, 0.01, 10**4), default=1.0, help="duration of the load")
    serving.add_argument("--output", type=Path, default=RESULTS / "serving.json", help="file of the report")

    scale = _add_command(commands, "scale", "Measure fitting and scoring on a cluster of this machine.")
    scale.add_argument("--results", type=Path, default=RESULTS / "scale.json", help="file of the results")
    scale.add_argument("--only", nargs="+", metavar="NAME", help="cases: rates, 'fit 10000', 'score ray', ...; by default all")
    scale.add_argument("--tables", type=Path, default=Path("docs"), help="folder of scale.md")

    arguments = vars(parser.parse_args())
    import_module(f"benchmarks.{arguments.pop('command')}").run(**arguments)


def _add_command(commands: Any, name: str, description: str) -> Parser:
    """Adds the parser of a command."""
    return commands.add_parser(name, description=description, help=f"{description[0].lower()}{description[1:-1]}")


def _add_study(command: Parser, results: Path) -> None:
    """Adds the arguments of the benchmarks that train or use detectors."""
    _add_input(command)
    command.add_argument("--protocols", nargs="+", choices=PROTOCOLS, default=PROTOCOLS, help="protocols to run")
    command.add_argument("--results", type=Path, default=results, help="folder of the results")
    command.add_argument(
        "--work", type=Path, default=Path("benchmarks/runs"), help="folder of detectors and of interrupted trainings"
    )


def _add_input(command: Parser) -> None:
    default = Path("data/generate_dataset")
    command.add_argument(
        "--input", dest="source", metavar="INPUT", type=Path, default=default, help="folder that the stage preprocess wrote"
    )


def _add_measurement(command: Parser, name: str, rounds: int) -> None:
    """Adds the arguments of the benchmarks that repeat a measurement and write a report."""
    command.add_argument("--rounds", type=number_between(int, 1, 1000), default=rounds, help="repeats of each variant")
    command.add_argument("--output", type=Path, default=RESULTS / f"{name}.json", help="file of the report")


if __name__ == "__main__":
    call(main, "benchmark.py", IF_INTERRUPTED)
