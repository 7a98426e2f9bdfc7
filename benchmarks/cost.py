"""The cost benchmark: what detectors cost on DSADS, and how the cost of fitting grows with the number of windows.

Each detector runs in a process of its own, so that peak memory is its own. The processes take turns, round by round, so that
other load on the machine affects all of them alike. Medians over rounds are reported.
"""

import statistics
import subprocess
import sys
import tempfile
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import numpy as np

from amsl_tf.data.files import read_json, write_json
from amsl_tf.errors import AMSLError
from amsl_tf.training.precision import device_name
from benchmarks.cost_workers import AMSL, DETECTORS, GROWTH_SHAPE, REPEATED, SAMPLE
from benchmarks.packages import versions
from benchmarks.pages import Section
from benchmarks.rows import markdown_table
from benchmarks.speed import Worker

SECTION = Section("cost", "cost")
PAGE = "performance.md"
REFERENCE = "default"
TITLES = {
    "default": "default (ensemble, no network)",
    "compact": "AMSL, preset compact, reconstruction",
    "paper": "AMSL, preset paper, reconstruction",
    "knn": "k-NN, flattened windows (pyod)",
    "minirocket": "MiniRocket, nearest neighbour (aeon)",
}
PAPER_EPOCHS = 8  # of the stored result, see accuracy.toml
COUNTS = (4_000, 40_000, 400_000)  # windows
LONGEST = 360.0  # seconds of a fit that is expected to be worth measuring
ROOT = Path(__file__).resolve().parents[1]
PAPER_RESULT = ROOT / "benchmarks/results/accuracy/amsl.window.0.json"
COLUMNS = (
    "detector",
    "fit, s",
    "scoring, windows/s",
    "one window, ms (median)",
    "load and first window, s",
    "MFLOP a window",
    "peak memory, GB",
    "F1",
    "AUROC",
)
GROWTH_COLUMNS = ("windows", "fit, s", "peak memory, GB", "exponent")
LIBRARIES = ("tensorflow", "keras", "scikit-learn", "pyod", "aeon")


def measure(source: Path, rounds: int) -> dict[str, Any]:
    """Measures all detectors in turn, then the growth, and returns the report.

    Args:
        source: The output folder of `amsl preprocess`.
        rounds: The number of measurements of each detector.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = _measure_detectors(source, folder, rounds)
        growth = _measure_growth(source, folder)
    return {"rows": rows, "growth": growth, "rounds": rounds, "device": device_name(), "versions": versions(LIBRARIES)}


def _measure_detectors(source: Path, folder: Path, rounds: int) -> list[dict[str, Any]]:
    """Measures the detectors; returns a row for each."""
    with ExitStack() as stack:
        workers = {name: stack.enter_context(closing(_start(name, source, folder / name))) for name in DETECTORS}
        seconds: dict[str, dict[str, list[float]]] = {name: {} for name in workers}
        for number in range(1, rounds + 1):
            for task in REPEATED:
                for name, worker in workers.items():
                    if task in worker.tasks:
                        seconds[name].setdefault(task, []).append(worker.measure(task))
            print(f"round {number} of {rounds}", file=sys.stderr, flush=True)
        rows = []
        for name, worker in workers.items():
            row = {"detector": name, **summarise(seconds[name], worker.tasks), "peak_memory_gb": worker.peak_memory()}
            row |= _paper_accuracy() if name == "paper" else worker.measure("accuracy")
            if name in AMSL:
                worker.measure("save")
                decisions = [_first_decision(folder / name) for _ in range(rounds)]
                row |= {"first_decision": statistics.median(decisions), "operations": worker.measure("operations")}
            rows.append(row)
    return rows


def summarise(seconds: dict[str, list[float]], amounts: dict[str, float]) -> dict[str, float]:
    """Computes the seconds of a fit, the windows scored per second and the seconds of a window alone, from those of tasks.

    A fit of the paper's network is extrapolated: from the seconds of an epoch of `SAMPLE` windows to `PAPER_EPOCHS` epochs of
    all windows, and one scoring of them for the threshold.

    Args:
        seconds: The seconds of each round, by task.
        amounts: The number of windows, by task.
    """
    medians = {task: statistics.median(values) for task, values in seconds.items()}
    speed = amounts["scoring"] / medians["scoring"]
    if "fit" in medians:
        fit = medians["fit"]
    else:
        count = amounts["fit 1"]
        fit = (medians["fit 2"] - medians["fit 1"]) * PAPER_EPOCHS * count / SAMPLE + count / speed
    return {"fit": fit, "windows_per_second": speed, "latency": medians["latency"]}


def _measure_growth(source: Path, folder: Path) -> list[dict[str, float]]:
    """Measures fits to more and more windows, as long as the next is not expected to take longer than `LONGEST`."""
    growth: list[dict[str, float]] = []
    for count in COUNTS:
        if growth and growth[-1]["fit"] * count / growth[-1]["windows"] > LONGEST:
            break
        with closing(_start(str(count), source, folder)) as worker:
            growth.append({"windows": count, "fit": worker.measure("fit"), "peak_memory_gb": worker.peak_memory()})
        print(f"{count:,} windows: {growth[-1]['fit']:.0f} s", file=sys.stderr, flush=True)
    return growth


def _start(name: str, source: Path, folder: Path) -> Worker:
    return Worker(name, "benchmarks.cost_workers", str(source.absolute()), str(folder))


def _first_decision(folder: Path) -> float:
    """Returns the seconds that a new process takes to load a detector and decide on a window, after importing TensorFlow."""
    command = [sys.executable, "-m", "benchmarks.first_decision", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise AMSLError(f"{folder}: loading failed with status {done.returncode} ({done.stderr.strip().splitlines()[-1:]}).")
    return float(done.stdout)


def _paper_accuracy() -> dict[str, float]:
    """Reads the F1 and the AUROC of the paper's network from the accuracy benchmark: training it takes too long here."""
    advice = "Run scripts/benchmark.py accuracy --only amsl first."
    metrics = read_json(PAPER_RESULT, advice, ("scores",))["scores"]["reconstruction"]
    return {name: metrics[name] for name in ("f1", "auroc")}


def write(report: dict[str, Any], folder: Path) -> Path:
    """Writes the tables of a report into the page, which it returns."""
    SECTION.replace(folder / PAGE, _tables(report))
    return folder / PAGE


def _tables(report: dict[str, Any]) -> str:
    """Formats the conditions, a row for each detector with ratios to the default, and a row for each number of windows."""
    default = next(row for row in report["rows"] if row["detector"] == REFERENCE)
    rows = [
        [
            TITLES[row["detector"]],
            f"{row['fit']:.1f} ({row['fit'] / default['fit']:.2f})",
            f"{row['windows_per_second']:,.0f} ({row['windows_per_second'] / default['windows_per_second']:.2f})",
            f"{1e3 * row['latency']:.1f}",
            f"{row['first_decision']:.2f}" if "first_decision" in row else "",
            f"{row['operations'] / 1e6:,.1f}" if "operations" in row else "",
            f"{row['peak_memory_gb']:.2f}",
            f"{row['f1']:.3f}",
            f"{row['auroc']:.3f}",
        ]
        for row in report["rows"]
    ]
    growth = []
    for place, each in enumerate(report["growth"]):
        cells = [f"{each['windows']:,}", f"{each['fit']:.1f}", f"{each['peak_memory_gb']:.2f}"]
        growth.append([*cells, f"{exponent(report['growth'][place - 1], each):.2f}" if place else ""])
    left_out = [f"{count:,}" for count in COUNTS[len(growth) :]]
    steps, channels = GROWTH_SHAPE
    tail = f" Not measured, as a fit was expected to take more than {LONGEST:.0f} s: {', '.join(left_out)}." if left_out else ""
    return f"""{report["device"]}. Medians over rounds ({report["rounds"]}); in brackets the ratio to the default.

{markdown_table(COLUMNS, rows)}
A fit of the default to windows of {steps} time steps and {channels} channels; the exponent is that of the growth of the
seconds from the row above.{tail}

{markdown_table(GROWTH_COLUMNS, growth)}"""


def exponent(before: dict[str, float], after: dict[str, float]) -> float:
    """Returns the exponent of the growth of the seconds of a fit with the number of windows."""
    return float(np.log(after["fit"] / before["fit"]) / np.log(after["windows"] / before["windows"]))


def run(source: Path, output: Path, rounds: int, tables: Path, from_file: bool = False) -> None:
    """Measures, writes the report and its tables, and prints the tables.

    Args:
        source: The output folder of `amsl preprocess`.
        output: The JSON file of the report.
        rounds: The number of measurements of each detector.
        tables: The folder of performance.md.
        from_file: Reads the report from `output` instead of measuring.

    Raises:
        AMSLError: The page lacks the marker lines of the tables, the input is missing, a detector fails, or there is no report
            to read.
    """
    SECTION.split(tables / PAGE)  # before anything is measured
    if from_file:
        report = read_json(output, "Run the benchmark without --from-file.", ("rows", "growth", "rounds", "device"))
    else:
        report = measure(source, rounds)
        write_json(output, report)
    page = write(report, tables)
    print(f"{_tables(report)}\nreport: {output}\ntables: {page}")
