"""How fast training and scoring are, beside a plain port and beside what the machine can do, all in one run.

Every variant lives in a process of its own, so that it has its own memory; the processes take turns, round after round, so that
what else the machine does meets all of them alike. The figures are medians over rounds.
"""

import json
import platform
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from amsl_tf.data.files import write_json
from amsl_tf.model_config import AMSLConfig
from amsl_tf.precision import device_name
from benchmarks.pages import parts_of, put_between
from benchmarks.rows import table
from benchmarks.workers import SHAPE, TASKS, VARIANTS

REFERENCE = "reference float32"
PRECISIONS = ("float32", "bfloat16")
TIMED = ("training", "scoring")
COLUMNS = {"windows/s": "{windows_per_second:.1f}", "ratio": "{ratio:.2f}", "of ceiling": "{ceiling_share:.2f}"}
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
    positions = -(-window_shape[0] // 4) * -(-window_shape[1] // 4)
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
    positions = -(-window_shape[0] // 4) * -(-window_shape[1] // 4)
    return 3 * forward_flops(config, window_shape) - 2.0 * len(config.views) * 16 * positions * 16 * 32


class Worker:
    """A variant in a process of its own.

    Args:
        name: One of `VARIANTS`.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.workers", name],
            cwd=Path(__file__).resolve().parents[1],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.tasks = tuple(self._answer() or ())

    def seconds(self, task: str) -> float:
        """Runs a task once."""
        return self._ask(task)

    def peak_memory(self) -> float:
        """The largest resident size so far, GB."""
        return self._ask("memory")

    def close(self) -> None:
        self._process.kill()
        self._process.wait()

    def _ask(self, what: str) -> Any:
        assert self._process.stdin
        self._process.stdin.write(what + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        """What the process says; None if it has ended, as it does where its library is not installed."""
        assert self._process.stdout
        line = self._process.stdout.readline()
        return json.loads(line) if line else None


def measure(rounds: int) -> dict[str, Any]:
    """Runs all variants in turn and returns what README and `speed.json` say of them.

    Args:
        rounds: How often each is measured, after one round that is not counted.
    """
    workers = [Worker(name) for name in VARIANTS]
    times: dict[tuple[str, str], list[float]] = {}
    try:
        workers = [worker for worker in workers if worker.tasks]
        for number in range(rounds + 1):
            for task in TASKS:
                for worker in workers:
                    if task in worker.tasks:
                        seconds = worker.seconds(task)
                        times.setdefault((worker.name, task), []).append(seconds)
            print(f"round {number} of {rounds}", file=sys.stderr, flush=True)
        memory = {worker.name: worker.peak_memory() for worker in workers}
    finally:
        for worker in workers:
            worker.close()
    medians = {key: statistics.median(values[1:]) for key, values in times.items()}
    return _report(medians, memory, rounds)


def _report(medians: dict[tuple[str, str], float], memory: dict[str, float], rounds: int) -> dict[str, Any]:
    config = AMSLConfig()
    ceiling = {
        precision: TASKS[f"ceiling {precision}"] / medians["ceiling", f"ceiling {precision}"] / 1e9 for precision in PRECISIONS
    }
    flops = {"training": training_flops(config, SHAPE), "scoring": forward_flops(config, SHAPE)}
    rows = []
    for (name, task), seconds in medians.items():
        if task not in flops:
            continue
        speed = TASKS[task] / seconds
        precision = name.split()[1]
        rows.append(
            {
                "variant": name,
                "task": task,
                "windows_per_second": speed,
                "ratio": speed * medians[REFERENCE, task] / TASKS[task],
                "ceiling_share": speed * flops[task] / 1e9 / ceiling[precision],
                "peak_memory_gb": memory[name],
            }
        )
    ratios = {(row["variant"], row["task"]): row["ratio"] for row in rows}
    shares = {(row["variant"], row["task"]): row["ceiling_share"] for row in rows}
    return {
        **{f"{task}_speedup_{precision}": ratios[f"amsl_tf {precision}", task] for task in flops for precision in PRECISIONS},
        **{f"ceiling_share_{precision}": shares[f"amsl_tf {precision}", "training"] for precision in PRECISIONS},
        "reference_ceiling_share": shares[REFERENCE, "training"],
        "ceiling_gflops": ceiling,
        "gflop_per_window": {task: value / 1e9 for task, value in flops.items()},
        "rounds": rounds,
        "device": device_name(),
        "python": platform.python_version(),
        "rows": rows,
    }


def write(report: dict[str, Any], folder: Path) -> None:
    """Writes the rows into README.md."""
    put_between(folder / "README.md", START, END, _table(report))


def _table(report: dict[str, Any]) -> str:
    """A row for each variant, the reference first."""
    variants: dict[str, dict[str, Any]] = {REFERENCE: {}}
    for row in report["rows"]:
        variants.setdefault(row["variant"], {})[row["task"]] = row
    ceiling = " and ".join(f"{value:.0f} GFLOP/s in {name}" for name, value in report["ceiling_gflops"].items())
    columns = ["", *(f"{task}, {what}" for task in TIMED for what in COLUMNS), "peak GB"]
    rows = []
    for name, tasks in variants.items():
        cells = [cell.format(**tasks[task]) for task in TIMED for cell in COLUMNS.values()]
        rows.append([name, *cells, f"{tasks['training']['peak_memory_gb']:.1f}"])
    head = f"{report['device']}; products of matrices reach {ceiling}; medians of {report['rounds']} rounds:"
    return f"{head}\n\n{table(columns, rows)}"


def run(output: Path, rounds: int, tables: Path) -> None:
    """Measures, prints the table, writes the report, and the table into README.md.

    Args:
        output: File for the report.
        rounds: How often each variant is measured.
        tables: The folder of README.md.

    Raises:
        AMSLError: README.md has no place for the table.
    """
    parts_of(tables / "README.md", START, END)  # what is wrong is told before it is measured
    report = measure(rounds)
    write_json(output, report)
    write(report, tables)
    print(f"{_table(report)}\nwritten to {output} and {tables / 'README.md'}")
