"""The series benchmark: fits the detectors of `series.toml` to series of public data sets, and ranks them by time step.

A run is a detector on a data set, in a process of its own. Its JSON file is written after each series, so an interrupted run
resumes with the next one. Settings are chosen on development series; test series are for frozen detectors, and each evaluation
on them is counted.
"""

import multiprocessing
import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Thread
from time import process_time
from typing import Any, Literal

from amsl_tf.data.files import locked, read_json, write_json
from amsl_tf.datasets import DATASETS, usual_folder
from amsl_tf.datasets.series import Series, SeriesDataset
from amsl_tf.errors import AMSLError, DataError
from amsl_tf.evaluation.time_steps import evaluate_time_steps, find_period
from benchmarks import series_page
from benchmarks.experiments import tomllib
from benchmarks.memory import peak_memory
from benchmarks.packages import versions
from benchmarks.series_detectors import Detector, Fitted, fit

EXPERIMENTS = Path(__file__).with_name("series.toml")
PACKAGES = ("amsl_tf", "numpy", "scikit-learn", "tensorflow", "keras", "pyod", "aeon")

Part = Literal["development", "test"]


@dataclass(frozen=True)
class SeriesSet:
    """A data set of series.toml.

    Attributes:
        name: The name in `DATASETS`.
        title: The title in tables.
        development: Patterns of the names of the development series; all others are test series.
    """

    name: str
    title: str
    development: Sequence[str]

    def open(self, data: Path) -> SeriesDataset:
        """Opens the data set below a folder."""
        dataset = DATASETS[self.name](usual_folder(self.name, data))
        assert isinstance(dataset, SeriesDataset)
        return dataset

    def select(self, names: Sequence[str], part: Part) -> list[str]:
        """Returns the names of the series of a part.

        Raises:
            DataError: A development series is missing.
        """
        matching = {pattern: [name for name in names if fnmatchcase(name, pattern)] for pattern in self.development}
        for pattern, found in matching.items():
            if not found:
                raise DataError(f"{self.title}: expected the development series {pattern}, found none. Download it again.")
        development = {name for found in matching.values() for name in found}
        return [name for name in names if (name in development) == (part == "development")]


def run(
    data: Path,
    results: Path,
    *,
    only: list[str] | None,
    datasets: list[str] | None,
    final: bool,
    again: str | None,
    tables: Path,
) -> None:
    """Runs the experiments without a result, and writes the tables after each run.

    Args:
        data: The folder with a folder for each data set.
        results: The folder of the JSON files.
        only: The names of detectors; None runs all.
        datasets: The names of data sets; None runs all.
        final: Whether the test series are used, not the development series.
        again: The reason why finished runs on the test series are repeated; None keeps them.
        tables: The folder of the page.

    Raises:
        AMSLError: A data set is missing or broken, a name is unknown, a stored result has other settings, the folder of the
            results is in use, or the process of a run was killed.
    """
    series_page.check(tables)  # before hours of computing
    if again is not None and not (final and again.strip()):
        raise AMSLError("--again gives the reason for a further look at test series: use it with --final, and name a reason.")
    part: Part = "test" if final else "development"
    sets, detectors = read_experiments()
    titles = [{item.name: item.title for item in known} for known in (sets, detectors)]
    chosen_sets, chosen = _choose("data set", sets, datasets), _choose("detector", detectors, only)
    names = {item.name: item.select(item.open(data).names(), part) for item in chosen_sets}
    with locked(results):
        for item in chosen_sets:
            for detector in chosen:
                file = results / f"{detector.name}.{item.name}.{part}.json"
                result = _open_result(file, detector, item, part, names[item.name], again)
                missing = [name for name in names[item.name] if name not in result["series"]]
                if missing:
                    print(f"{detector.title} on {item.title}, {len(missing)} {part} series", file=sys.stderr, flush=True)
                    write_json(file, result)  # counts a look before it happens
                    _run_alone(detector, item, data, missing, result, file)
                    series_page.write(results, tables, *titles)
        page = series_page.write(results, tables, *titles)
    print(f"results: {results}\ntables:  {page}")


def read_experiments() -> tuple[list[SeriesSet], list[Detector]]:
    """Reads the data sets and the detectors of series.toml."""
    values = tomllib.loads(EXPERIMENTS.read_text())
    return [SeriesSet(**item) for item in values["dataset"]], [Detector(**item) for item in values["detector"]]


def _choose(kind: str, known: Sequence[Any], names: list[str] | None) -> list[Any]:
    by_name = {item.name: item for item in known}
    unknown = [name for name in names or () if name not in by_name]
    if unknown:
        raise AMSLError(f"unknown {kind} {unknown[0]!r}; expected one of {', '.join(by_name)}.")
    return [by_name[name] for name in names or by_name]


def _open_result(
    file: Path, detector: Detector, item: SeriesSet, part: Part, names: list[str], again: str | None
) -> dict[str, Any]:
    """Returns the stored result of a run, or the beginning of a new one.

    Raises:
        AMSLError: The stored result has other settings or series.
    """
    expected: dict[str, Any] = {"detector": detector.name, "dataset": item.name, "part": part, "names": names}
    expected["configuration"] = detector.configuration
    looks: list[dict[str, str | None]] = []
    if file.exists():
        advice = "Name a reason with --again." if part == "test" else f"Remove {file} and run it again."
        stored = read_json(file, advice, (*expected, "looks", "series"))
        looks = stored["looks"]
        different = next((name for name in expected if stored[name] != expected[name]), None)
        if not isinstance(stored["series"], dict) or not set(stored["series"]) <= set(stored["names"]):
            raise AMSLError(f"{file}: expected results of the series in `names` only. {advice}")
        is_same_look = again is None or (bool(looks) and looks[-1]["reason"] == again)
        if is_same_look and different:
            found = f"expected a result of {different} {expected[different]!r:.300}. Received: {stored[different]!r:.300}."
            raise AMSLError(f"{file}: {found} {advice}")
        if is_same_look:
            return stored
    look = {"fingerprint": detector.fingerprint, "reason": again}
    return {**expected, "looks": [*looks, look] if part == "test" else [], "series": {}}


def _run_alone(detector: Detector, item: SeriesSet, *arguments: Any) -> None:
    """Calls `_run` in a process of its own, whose peak memory is that of the run, and which ends with this one.

    Raises:
        AMSLError: See `_run`; or the process was killed or failed, with its traceback on stderr.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_report, args=(sender, detector, item, *arguments), daemon=True)
    try:
        process.start()
        sender.close()
        error = receiver.recv()
    except EOFError as ended:
        fault = f"{detector.name} on {item.name}: its process failed, or was killed as where memory is short"
        raise AMSLError(f"{fault}. Run it again; finished series are kept.") from ended
    finally:
        process.kill()
        process.join()
    if error is not None:
        raise error


def _report(sender: Connection, *arguments: Any) -> None:
    """Calls `_run`, and sends its `AMSLError`, or None if there was none."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def end_with_parent() -> None:
        parent.join()
        os._exit(1)  # two processes must not write one result

    Thread(target=end_with_parent, daemon=True).start()
    try:
        _run(*arguments)
    except AMSLError as error:
        sender.send(error)
    else:
        sender.send(None)


def _run(detector: Detector, item: SeriesSet, data: Path, names: list[str], result: dict[str, Any], file: Path) -> None:
    """Evaluates a detector on series, and adds each to the result."""
    dataset, fitted_to = item.open(data), ""
    machine = {"processor": platform.machine(), "cores": multiprocessing.cpu_count(), "versions": versions(PACKAGES)}
    result |= {"machine": machine}
    for name in names:
        series = dataset.read_series(name)
        try:
            if series.train.name != fitted_to:  # the faults of TEP share it
                fitted, fitted_to = fit(detector, series.train.x, dataset.window_shape[0]), series.train.name
            result["series"][name] = evaluate_series(fitted, series, dataset.sampling_rate)
        except DataError as error:
            raise DataError(f"{item.title}, series {name}: {error}") from error
        result["peak_memory_mb"] = max(result.get("peak_memory_mb", 0.0), peak_memory() / 2**20)
        write_json(file, result)
        print(f"  {name}", file=sys.stderr, flush=True)


def evaluate_series(fitted: Fitted, series: Series, rate: float | None) -> dict[str, Any]:
    """Evaluates a detector on the test recording of a series.

    Args:
        fitted: The detector, fitted to the training recording.
        series: The series.
        rate: Time steps per second, if known.

    Returns:
        The `seconds` of the fit, the `steps_per_second` that are scored, both of processor time, and the metrics by name of the
        score.

    Raises:
        DataError: The test recording has no labels, or labels of one class only.
    """
    labels = series.test.label
    if labels is None:
        raise DataError(f"expected labels of the time steps of {series.test.name}, found none.")
    start = process_time()
    scores = fitted.score(series.test.x)
    seconds = max(process_time() - start, 1e-9)  # where the clock is coarse
    period = find_period(series.train.x[:, 0])
    step_seconds = None if rate is None else 1 / rate
    metrics = {
        name: evaluate_time_steps(values, labels, fitted.thresholds[name], buffer=period, seconds=step_seconds)
        for name, values in scores.items()
    }
    return {"seconds": fitted.seconds, "steps_per_second": len(series.test) / seconds, "scores": metrics}
