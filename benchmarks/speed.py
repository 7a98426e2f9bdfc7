"""The speed benchmark: training and scoring, compared with a plain port and with the matrix multiplications of the machine.

Each variant runs in a process of its own, so that peak memory is its own. The processes take turns, round by round, so that
other load on the machine affects all of them alike. Medians over rounds are reported.
"""

import json
import statistics
import subprocess
import sys
import tempfile
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any

from amsl_tf.data.files import read_json, write_json
from amsl_tf.errors import AMSLError
from amsl_tf.networks.amsl import AMSLConfig
from amsl_tf.training.precision import device_name, fast_bfloat16
from benchmarks.packages import versions
from benchmarks.pages import Section
from benchmarks.rows import markdown_table
from benchmarks.workers import CEILING, REFERENCE, SHAPE, VARIANTS

PRECISIONS = ("float32", "bfloat16")
TASKS = ("training", "scoring")
COLUMNS = ("windows/s", "speedup", "of GEMM")
STREAMED = (320, 3_200)  # numbers of windows; the memory of scoring must not depend on them
LIBRARIES = ("tensorflow", "keras", "torch")
PAGE = "performance.md"
SECTION = Section("speed", "speed")


def forward_flops(config: AMSLConfig, window_shape: tuple[int, int]) -> float:
    """Counts the floating-point operations of a forward pass in convolutions and matrix multiplications, for one window.

    A multiplication and an addition count as two operations. For each view, with H x W a quarter of the padded T x C in each
    direction, K slots, f filters, F features, m memories, and I input channels of the decoder (F for the latent with the skip
    connection, plus F for the reads), the multiplications are

        encoder     16 (16 HW * 1 * f + 4 HW * f * F)
        classifier  16 HW * F + 128 HW + 128 R
        memories    2 m HW K F
        decoder     16 (HW * I * 4f + HW * 4f * 2f + 4 HW * 2f * f + 16 HW * f)

    A transposed convolution with stride 2 costs what its input positions cost.
    """
    positions = _positions(window_shape)
    num_views, filters = len(config.views), config.filters
    memories = {"none": 0, "global": 1, "local": 1, "both": 2}[config.memory]
    inputs = config.latent_features * (config.skip + config.has_memory)
    encoder = 16 * positions * filters * (16 + 4 * config.latent_features)
    classifier = (16 * config.latent_features + 128) * positions + 128 * num_views if config.self_supervision else 0
    reads = 2 * memories * positions * config.num_slots * config.latent_features
    decoder = 16 * positions * filters * (4 * inputs + 16 * filters + 16)
    return 2.0 * num_views * (encoder + classifier + reads + decoder)


def training_flops(config: AMSLConfig, window_shape: tuple[int, int]) -> float:
    """Counts the floating-point operations of a training step for one window.

    The backward pass costs twice the forward pass, but the gradient of the input of the first layer is not computed.
    """
    first = 16 * _positions(window_shape) * 16 * config.filters
    return 3 * forward_flops(config, window_shape) - 2.0 * len(config.views) * first


def _positions(window_shape: tuple[int, int]) -> int:
    """Returns the number of positions of a latent, H W."""
    return -(-window_shape[0] // 4) * -(-window_shape[1] // 4)


class Worker:
    """A process that measures one variant until `close`.

    Args:
        name: The name of a variant in `VARIANTS`, or the number of windows to stream, or what `module` expects.
        module: The module of the process, which calls `serve`.
        arguments: Further arguments of the module.

    Attributes:
        tasks: The amount of work of each task by name; empty if the variant needs PyTorch and PyTorch is not installed.

    Raises:
        AMSLError: The process fails.
    """

    def __init__(self, name: str, module: str = "benchmarks.workers", *arguments: str) -> None:
        self.name = name
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115, closed by `close`
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, name, *arguments],
            cwd=Path(__file__).resolve().parents[1],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            text=True,
        )
        self.tasks: dict[str, float] = self._receive() or {}

    def close(self) -> None:
        """Ends the process."""
        self._process.kill()
        self._process.communicate()
        self._stderr.close()

    def measure(self, task: str) -> Any:
        """Runs a task once and returns the seconds, or the result of a task without an amount."""
        return self._request(task)

    def peak_memory(self) -> float:
        """Returns the peak resident memory in GB, of the host and not of a GPU."""
        return self._request("memory")

    def _request(self, command: str) -> Any:
        assert self._process.stdin
        with suppress(BrokenPipeError):  # the process has ended, which `_receive` reports
            self._process.stdin.write(command + "\n")
            self._process.stdin.flush()
        return self._receive()

    def _receive(self) -> Any:
        """Returns the next answer of the process, or None if it has ended without an error."""
        assert self._process.stdout
        line = self._process.stdout.readline()
        if line:
            return json.loads(line)
        if status := self._process.wait():
            self._stderr.seek(0)
            message = self._stderr.read().decode(errors="replace").strip().splitlines() or ["no error message"]
            self.close()
            raise AMSLError(f"{self.name}: the measuring process failed with status {status} ({message[-1]}).")
        return None


def measure(rounds: int) -> dict[str, Any]:
    """Measures all variants in turn and returns the report.

    Args:
        rounds: The number of measurements of each variant, after a warm-up round.
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
                        seconds[name][task].append(worker.measure(task))
            print(f"round {number} of {rounds}", file=sys.stderr, flush=True)
        amounts = {name: worker.tasks for name, worker in workers.items()}
        memory = {name: worker.peak_memory() for name, worker in workers.items()}
    streamed = {}
    for count in STREAMED:
        with closing(Worker(str(count))) as worker:
            worker.measure("scoring")
            streamed[str(count)] = worker.peak_memory()
    measured = {name: {task: values[1:] for task, values in tasks.items()} for name, tasks in seconds.items()}
    return {**_report(measured, amounts, memory), "scoring_memory_gb": streamed, "rounds": rounds}


def _report(
    seconds: dict[str, dict[str, list[float]]], amounts: dict[str, dict[str, float]], memory: dict[str, float]
) -> dict[str, Any]:
    """Computes the report.

    Args:
        seconds: The seconds of each round, by variant and task.
        amounts: The amount of work, by variant and task.
        memory: The peak memory in GB, by variant.
    """
    config = AMSLConfig()
    flops = {"training": training_flops(config, SHAPE), "scoring": forward_flops(config, SHAPE)}
    speeds = {
        (name, task): [amounts[name][task] / value for value in values]
        for name, tasks in seconds.items()
        for task, values in tasks.items()
    }
    medians = {key: statistics.median(values) for key, values in speeds.items()}
    ceiling = {precision: medians[CEILING, f"ceiling {precision}"] / 1e9 for precision in PRECISIONS}
    rows = []
    for (name, task), values in speeds.items():
        if name == CEILING:
            continue
        by_round = [value / reference for value, reference in zip(values, speeds[REFERENCE, task], strict=True)]
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
        **{f"{task}_speedup_{precision}": ratios[f"amsl_tf {precision}", task] for task in TASKS for precision in PRECISIONS},
        **{f"ceiling_share_{precision}": shares[f"amsl_tf {precision}", "training"] for precision in PRECISIONS},
        "reference_ceiling_share": shares[REFERENCE, "training"],
        "ceiling_gflops": ceiling,
        "gflop_per_window": {task: value / 1e9 for task, value in flops.items()},
        "device": device_name(),
        "fast_bfloat16": fast_bfloat16() if device_name().startswith("CPU") else [],
        "versions": versions(LIBRARIES),
        "rows": rows,
    }


def write(report: dict[str, Any], folder: Path) -> Path:
    """Writes the table of a report into the page, which it returns."""
    SECTION.replace(folder / PAGE, _table(report))
    return folder / PAGE


def _table(report: dict[str, Any]) -> str:
    """Formats the conditions, a row for each variant, the reference first, and the memory of scoring."""
    variants: dict[str, dict[str, Any]] = {REFERENCE: {}}
    for row in report["rows"]:
        variants.setdefault(row["variant"], {})[row["task"]] = row
    rows = []
    for name, tasks in variants.items():
        cells = [cell for task in TASKS for cell in _cells(tasks[task])]
        rows.append([name, *cells, f"{tasks['training']['peak_memory_gb']:.1f}"])
    columns = ["variant", *(f"{task}, {column}" for task in TASKS for column in COLUMNS), "peak memory, GB"]
    flags = f", {' '.join(report['fast_bfloat16'])}" if report["fast_bfloat16"] else ""
    ceiling = " and ".join(f"{value:.0f} GFLOP/s in {name}" for name, value in report["ceiling_gflops"].items())
    head = f"{report['device']}{flags}. Matrix multiplication (GEMM): {ceiling}. Medians of {report['rounds']} rounds."
    memory = " and ".join(f"{value:.2f} GB for {int(count):,} windows" for count, value in report["scoring_memory_gb"].items())
    tail = f"Peak memory of a process that only scores, in float32: {memory}."
    return f"{head}\n\n{markdown_table(columns, rows)}\n{tail}\n"


def _cells(row: dict[str, Any]) -> list[str]:
    low, high = row["ratio_range"]
    ratio = f"{row['ratio']:.2f}" if row["variant"] == REFERENCE else f"{row['ratio']:.2f} ({low:.2f} to {high:.2f})"
    return [f"{row['windows_per_second']:.1f}", ratio, f"{row['ceiling_share']:.2f}"]


def run(output: Path, rounds: int, tables: Path, from_file: bool = False) -> None:
    """Measures, writes the report and its table, and prints the table.

    Args:
        output: The JSON file of the report.
        rounds: The number of measurements of each variant.
        tables: The folder of performance.md.
        from_file: Reads the report from `output` instead of measuring.

    Raises:
        AMSLError: The page lacks the marker lines of the table, a variant fails, or there is no report to read.
    """
    SECTION.split(tables / PAGE)  # before anything is measured
    if from_file:
        report = read_json(output, "Run the benchmark without --from-file.", ("rows", "rounds", "ceiling_gflops"))
    else:
        report = measure(rounds)
        write_json(output, report)
    page = write(report, tables)
    print(f"{_table(report)}\nreport: {output}\ntable:  {page}")
