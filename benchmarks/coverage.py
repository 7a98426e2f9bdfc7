"""The coverage benchmark: whether the threshold of the ensemble keeps its false-alarm rate on normal rows it was not fitted to.

The recordings are the training recordings of the development series of `series.toml`. The detector of the row `ensemble` is
fitted to the first four fifths, without the last window of them, and decides on the windows of the last fifth. A recording is
stored in the JSON file of its data set and is not repeated once it is there.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np

from amsl_tf.config import DetectorConfig
from amsl_tf.data.files import locked, read_json, write_json
from amsl_tf.errors import AMSLError
from benchmarks.pages import Section
from benchmarks.peers.adaptors import SlidingWindows
from benchmarks.rows import markdown_table
from benchmarks.series import SeriesSet, read_experiments
from benchmarks.series_detectors import Detector

SECTION = Section("coverage", "coverage")
PAGE = "series.md"
DETECTOR = "ensemble"
NOMINAL = DetectorConfig().contamination
FIFTHS = 5
RESAMPLES = 2_000
CONFIDENCE = 0.95
COLUMNS = (
    "data set",
    "recordings",
    "flagged, median",
    "90th percentile",
    "interval covers the nominal rate",
    "interval below",
    "interval above",
    "test recordings",
    "flagged normal rows, median",
    "90th percentile",
)


def run(data: Path, results: Path, tables: Path) -> None:
    """Measures the recordings without a result, and writes the table.

    Args:
        data: The folder with a folder for each data set.
        results: The folder of the JSON files, beside that of the series benchmark.
        tables: The folder of the page.

    Raises:
        AMSLError: A data set is missing or broken, a stored result has other settings, the folder of the results is in use, or
            the page lacks the marker lines of the table.
    """
    SECTION.split(tables / PAGE)  # before anything is measured
    sets, detectors = read_experiments()
    detector = next(item for item in detectors if item.name == DETECTOR)
    with locked(results):
        for item in sets:
            _measure_set(item, detector, data, results / f"{item.name}.json")
    text = write(results, tables, sets)
    print(f"{text}\nresults: {results}\ntable:   {tables / PAGE}")


def _measure_set(item: SeriesSet, detector: Detector, data: Path, file: Path) -> None:
    """Measures the recordings of a data set that are not in its file."""
    result: dict[str, Any] = {"configuration": detector.configuration, "recordings": {}, "too_short": []}
    if file.exists():
        stored = _read(file)
        if stored["configuration"] != result["configuration"]:
            raise AMSLError(f"{file}: expected a result of the row {DETECTOR} of series.toml. Remove it and run it again.")
        result = stored
    dataset = item.open(data)
    for name in item.select(dataset.names(), "development"):
        recording = dataset.read_series(name).train
        if recording.name in (*result["recordings"], *result["too_short"]):
            continue
        measured = measure(detector, recording.x, dataset.window_shape[0])
        if measured is None:
            result["too_short"].append(recording.name)
        else:
            result["recordings"][recording.name] = measured
            print(f"{item.title}, {recording.name}: {measured['flagged']:.1%} flagged", file=sys.stderr, flush=True)
        write_json(file, result)


def measure(detector: Detector, x: np.ndarray, steps: int) -> dict[str, Any] | None:
    """Measures the share of windows that a detector flags in the last fifth of a normal recording.

    Args:
        detector: The detector.
        x: float32 (rows, C), normal time steps.
        steps: T, the length of a window.

    Returns:
        The number of `windows` fitted to and of `tested` windows, one at each row; the share `flagged` and its `interval`. None
        if one of the two parts is shorter than a window.
    """
    from amsl_tf.detector import AMSLDetector

    border = len(x) * (FIFTHS - 1) // FIFTHS
    first, last = x[: max(0, border - steps)], x[border:]
    if min(len(first), len(last)) < steps:
        return None
    possible = len(first) - steps + 1
    normal = SlidingWindows([first], steps, stride=-(-possible // detector.windows))[:]
    fitted = AMSLDetector.from_config(DetectorConfig.from_settings(**detector.settings)).fit(normal)
    flagged = fitted.predict(SlidingWindows([last], steps, stride=1)[:]).astype(bool)
    interval = block_interval(flagged, block=steps)
    return {"windows": len(normal), "tested": len(flagged), "flagged": float(flagged.mean()), "interval": interval}


def block_interval(flagged: np.ndarray, block: int) -> list[float]:
    """Computes a 95 % confidence interval of the share of flagged windows, by the circular block bootstrap.

    Resampling cannot show what few blocks may lack: without a flagged window every resample has none. So the interval reaches
    at least the exact binomial limits of none and of all flagged, for as many independent windows as there are blocks.

    Args:
        flagged: bool (N,), the decisions on consecutive windows.
        block: The length of a block in windows.

    Returns:
        The lower and the upper limit.

    Reference:
        Politis and Romano, A circular block-resampling procedure for stationary data, 1992.
    """
    count, tail = len(flagged), (1 - CONFIDENCE) / 2
    starts = np.random.default_rng(0).integers(count, size=(RESAMPLES, -(-count // block), 1))
    places = (starts + np.arange(block)).reshape(RESAMPLES, -1)[:, :count] % count
    low, high = np.quantile(flagged[places].mean(axis=1), (tail, 1 - tail))
    rarest = tail ** (1 / max(1, count // block))
    return [float(min(low, rarest)), float(max(high, 1 - rarest))]


def write(results: Path, tables: Path, sets: list[SeriesSet]) -> str:
    """Writes the table of the stored results into the page, and returns it."""
    rows, every, every_rate, too_short = [], [], [], 0
    for item in sets:
        result = _read(results / f"{item.name}.json")
        recordings, rates = [*result["recordings"].values()], _test_rates(results.with_name("series"), item)
        rows.append([item.title, *_cells(recordings, rates)])
        every += recordings
        every_rate += rates
        too_short += len(result["too_short"])
    rows.append(["all", *_cells(every, every_rate)])
    text = f"""## False alarms on held-out normal rows

The ensemble is fitted to the first four fifths of the training recording of each development series, without the last window
of them, and decides on the windows of the last fifth, which are normal, too: {NOMINAL:.0%} should be flagged. The 95 %
intervals are those of the circular block bootstrap with blocks of a window length, and at least those of the exact binomial
test for none, or all, of as many blocks flagged. Recordings that several series share count once; {too_short} recording is too
short for two parts with a window. The last three columns show the normal rows of the test recordings that the detector of the
tables below flags.

{markdown_table(COLUMNS, rows)}"""
    SECTION.replace(tables / PAGE, text)
    return text


def _test_rates(results: Path, item: SeriesSet) -> list[float]:
    """Reads the false-alarm rate on each test recording of the development series, from the series benchmark."""
    file = results / f"{DETECTOR}.{item.name}.development.json"
    series = read_json(file, f"Run scripts/benchmark.py series --only {DETECTOR} first.", ("series",))["series"]
    return [values["scores"][DETECTOR]["false_alarm_rate"] for values in series.values()]


def _cells(recordings: list[dict[str, Any]], rates: list[float]) -> list[str]:
    """Formats the cells of `COLUMNS` behind the first."""
    shares = [each["flagged"] for each in recordings]
    low, high = np.array([each["interval"] for each in recordings]).T
    counts = [np.sum((low <= NOMINAL) & (high >= NOMINAL)), np.sum(high < NOMINAL), np.sum(low > NOMINAL)]
    return [
        str(len(recordings)),
        *_median_and_percentile(shares),
        *map(str, counts),
        str(len(rates)),
        *_median_and_percentile(rates),
    ]


def _median_and_percentile(values: list[float]) -> list[str]:
    return [f"{np.percentile(values, percent):.1%}" for percent in (50, 90)]


def _read(file: Path) -> dict[str, Any]:
    """Reads the results of a data set."""
    return read_json(file, f"Remove {file} and run it again.", ("configuration", "recordings", "too_short"))
