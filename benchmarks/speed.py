"""How fast training and scoring are, beside a plain port and beside what the machine can do, all in one run.

Every variant lives in a process of its own, so that it has its own memory; the processes take turns, round after round, so that
what else the machine does meets all of them alike. The figures are medians over rounds.
"""

import json
import platform
import statistics
import subprocess
import sys
import tempfile
from contextlib import ExitStack, closing, suppress
from importlib import metadata
from pathlib import Path
from typing import Any

from amsl_tf.data.files import write_json
from amsl_tf.errors import AMSLError
from amsl_tf.model_config import AMSLConfig
from amsl_tf.precision import device_name, fast_bfloat16
from benchmarks.pages import parts_of, put_between
from benchmarks.rows import table
from benchmarks.workers import CEILING, REFERENCE, SHAPE, VARIANTS

PRECISIONS = ("float32", "bfloat16")
TIMED = ("training", "scoring")
COLUMNS = ("windows/s", "ratio", "of ceiling")
STREAMED = (320, 3_200)  # windows: how much memory scoring takes must not depend on their number
LIBRARIES = ("tensorflow", "keras", "torch")
START, END = "<!-- speed: made by scripts/benchmark.py speed -->", "<!-- end of speed -->"


def forward_flops(config: AMSLConfig, window_shape: tuple[int, int]) -> float:
    """Floating-point operations of the network's products for one window, forward; a multiplication and an addition are two.

    For each view, H x W being a quarter of the padded T x C, K slots, F features, m memories, and an input of I channels to the
    decoder (F for the latent with skip, F more for the reads):

        encoder     16 (16 HW * 1 * 32 + 4 HW * 32 * F)
        classifier  16 HW * F + 128 HW + 128 R
        memories    2 m HW K F
        decoder     16 (HW * I * 128 + HW * 128 * 64 + 4 HW * 64 * 32 + 16 HW * 32)

    multiplications. A stride-2 transposed convolution costs what its input positions cost.
    """
    positions = _positions(window_shape)
    num_views = len(config.views)
    memories = {"none": 0, "global": 1, "local": 1, "both": 2}[config.memory]
    inputs = config.latent_features * (config.skip + config.has_memory)
    encoder = 16 * positions * (16 * 32 + 4 * 32 * config.latent_features)
    classifier = (16 * config.latent_features + 128) * positions + 128 * num_views if config.self_supervision else 0
    reads = 2 * memories * positions * config.num_slots * config.latent_features
    decoder = 16 * positions * (inputs * 128 + 128 * 64 + 4 * 64 * 32 + 16 * 32)
    return 2.0 * num_views * (encoder + classifier + reads + decoder)


def training_flops(config: AMSLConfig, window_shape: tuple[int, int]) -> float:
    """Those of a training step for one window: forward, and twice as much backward but for the first layer's input."""
    return 3 * forward_flops(config, window_shape) - 2.0 * len(config.views) * 16 * _positions(window_shape) * 16 * 32


def _positions(window_shape: tuple[int, int]) -> int:
    """Of a latent, H W."""
    return -(-window_shape[0] // 4) * -(-window_shape[1] // 4)


class Worker:
    """A variant in a process of its own, which `close` ends.

    Args:
        name: One of `VARIANTS`, or how many windows to stream.

    Attributes:
        tasks: What it can do, by name the amount of it; nothing where PyTorch is needed and not installed.

    Raises:
        AMSLError: The process ends before it should.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115, closed when the process is ended
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.workers", name],
            cwd=Path(__file__).resolve().parents[1],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        self.tasks: dict[str, float] = self._answer() or {}

    def close(self) -> None:
        """Ends the process."""
        self._process.kill()
        self._process.communicate()
        self._errors.close()

    def seconds(self, task: str) -> float:
        """Runs a task once."""
        return self._ask(task)

    def peak_memory(self) -> float:
        """The largest resident size so far, GB, of the machine's memory, not of a GPU's."""
        return self._ask("memory")

    def _ask(self, what: str) -> Any:
        assert self._process.stdin
        with suppress(BrokenPipeError):  # the process has ended: there is no answer either
            self._process.stdin.write(what + "\n")
            self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        """What the process says; None if it has ended without an error."""
        assert self._process.stdout
        line = self._process.stdout.readline()
        if line:
            return json.loads(line)
        if status := self._process.wait():
            self._errors.seek(0)
            said = self._errors.read().decode(errors="replace").strip().splitlines() or ["nothing was said"]
            self.close()
            raise AMSLError(f"{self.name}: the process that measures it has failed with status {status} ({said[-1]}).")
        return None


def measure(rounds: int) -> dict[str, Any]:
    """Runs all variants in turn and returns what README and `speed.json` say of them.

    Args:
        rounds: How often each is measured, after one round that is not counted.
    """
    with ExitStack() as stack:
        started = [stack.enter_context(closing(Worker(name))) for name in VARIANTS]
        workers = {worker.name: worker for worker in started if worker.tasks}
        seconds: dict[str, dict[str, list[float]]] = {
            name: {task: [] for task in worker.tasks} for name, worker in workers.items()
        }
        for number in range(rounds + 1):
            for task in dict.fromkeys(task for tasks in seconds.values() for task in tasks):
                for name, worker in workers.items():
                    if task in worker.tasks:
                        seconds[name][task].append(worker.seconds(task))
            print(f"round {number} of {rounds}", file=sys.stderr, flush=True)
        amounts = {name: worker.tasks for name, worker in workers.items()}
        memory = {name: worker.peak_memory() for name, worker in workers.items()}
    streamed = {}
    for count in STREAMED:
        with closing(Worker(str(count))) as worker:
            worker.seconds("scoring")
            streamed[str(count)] = worker.peak_memory()
    counted = {name: {task: values[1:] for task, values in tasks.items()} for name, tasks in seconds.items()}
    return {**_report(counted, amounts, memory), "scoring_memory_gb": streamed, "rounds": rounds}


def _report(
    seconds: dict[str, dict[str, list[float]]], amounts: dict[str, dict[str, float]], memory: dict[str, float]
) -> dict[str, Any]:
    """What is made of the seconds of all rounds and of the amounts, by variant and task, and of the memory of variants."""
    config = AMSLConfig()
    flops = {"training": training_flops(config, SHAPE), "scoring": forward_flops(config, SHAPE)}
    speeds = {
        (name, task): [amounts[name][task] / one for one in values]
        for name, tasks in seconds.items()
        for task, values in tasks.items()
    }
    medians = {key: statistics.median(values) for key, values in speeds.items()}
    ceiling = {precision: medians[CEILING, f"ceiling {precision}"] / 1e9 for precision in PRECISIONS}
    rows = []
    for (name, task), values in speeds.items():
        if name == CEILING:
            continue
        by_round = [one / other for one, other in zip(values, speeds[REFERENCE, task], strict=True)]
        rows.append(
            {
                "variant": name,
                "task": task,
                "windows_per_second": medians[name, task],
                "ratio": medians[name, task] / medians[REFERENCE, task],
                "ratio_range": [min(by_round), max(by_round)],
                "ceiling_share": medians[name, task] * flops[task] / 1e9 / ceiling[name.split()[1]],
                "peak_memory_gb": memory[name],
                "seconds": seconds[name][task],
            }
        )
    ratios = {(row["variant"], row["task"]): row["ratio"] for row in rows}
    shares = {(row["variant"], row["task"]): row["ceiling_share"] for row in rows}
    return {
        **{f"{task}_speedup_{precision}": ratios[f"amsl_tf {precision}", task] for task in TIMED for precision in PRECISIONS},
        **{f"ceiling_share_{precision}": shares[f"amsl_tf {precision}", "training"] for precision in PRECISIONS},
        "reference_ceiling_share": shares[REFERENCE, "training"],
        "ceiling_gflops": ceiling,
        "gflop_per_window": {task: value / 1e9 for task, value in flops.items()},
        "device": device_name(),
        "fast_bfloat16": fast_bfloat16() if device_name().startswith("CPU") else [],
        "versions": {"python": platform.python_version(), **_versions()},
        "rows": rows,
    }


def _versions() -> dict[str, str]:
    """Of the libraries that are installed."""
    installed = {name: list(metadata.distributions(name=name)) for name in LIBRARIES}
    return {name: found[0].version for name, found in installed.items() if found}


def write(report: dict[str, Any], folder: Path) -> None:
    """Writes the rows into README.md."""
    put_between(folder / "README.md", START, END, _table(report))


def _table(report: dict[str, Any]) -> str:
    """A row for each variant, the reference first."""
    variants: dict[str, dict[str, Any]] = {REFERENCE: {}}
    for row in report["rows"]:
        variants.setdefault(row["variant"], {})[row["task"]] = row
    rows = []
    for name, tasks in variants.items():
        cells = [cell for task in TIMED for cell in _cells(tasks[task])]
        rows.append([name, *cells, f"{tasks['training']['peak_memory_gb']:.1f}"])
    columns = ["", *(f"{task}, {what}" for task in TIMED for what in COLUMNS), "peak GB"]
    flags = f", {' '.join(report['fast_bfloat16'])}" if report["fast_bfloat16"] else ""
    ceiling = " and ".join(f"{value:.0f} GFLOP/s in {name}" for name, value in report["ceiling_gflops"].items())
    head = f"{report['device']}{flags}; products of matrices reach {ceiling}; medians of {report['rounds']} rounds:"
    memory = " and ".join(f"{value:.2f} GB for {int(count):,} windows" for count, value in report["scoring_memory_gb"].items())
    return f"{head}\n\n{table(columns, rows)}\nA process that only scores, in float32, takes {memory} at its peak.\n"


def _cells(row: dict[str, Any]) -> list[str]:
    low, high = row["ratio_range"]
    ratio = f"{row['ratio']:.2f}" if row["variant"] == REFERENCE else f"{row['ratio']:.2f} ({low:.2f} to {high:.2f})"
    return [f"{row['windows_per_second']:.1f}", ratio, f"{row['ceiling_share']:.2f}"]


def run(output: Path, rounds: int, tables: Path) -> None:
    """Measures, prints the table, writes the report, and the table into README.md.

    Args:
        output: File for the report.
        rounds: How often each variant is measured.
        tables: The folder of README.md.

    Raises:
        AMSLError: README.md has no place for the table, or a variant fails.
    """
    parts_of(tables / "README.md", START, END)  # what is wrong is told before it is measured
    report = measure(rounds)
    write_json(output, report)
    write(report, tables)
    print(f"{_table(report)}\nwritten to {output} and {tables / 'README.md'}")
