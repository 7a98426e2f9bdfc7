"""The data benchmark: throughput of preprocessing and transformation, compared with plain loops on the same files."""

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy.signal import savgol_filter

from amsl_tf.data.files import write_json
from amsl_tf.datasets.dsads import Recording, find_recordings, read_recordings
from amsl_tf.views import PAPER_VIEWS
from amsl_tf.views.sources import RawWindows, view_batches

LOOP_WINDOWS = 100  # windows that the slow loop over views transforms


def load_with_loop(recordings: list[Recording]) -> np.ndarray:
    """Reads files with `np.loadtxt`, one by one."""
    return np.stack([np.loadtxt(file, np.float32, delimiter=",") for item in recordings for file in item.files])


def load_with_package(recordings: list[Recording]) -> np.ndarray:
    """Reads files as the stage `preprocess` does."""
    return np.concatenate(list(read_recordings(recordings)))


def views_with_loop(x: np.ndarray) -> np.ndarray:
    """Makes views with the formulas of the original code, window by window and channel by channel: (N, R, T, C)."""
    generator = np.random.default_rng(0)
    return np.stack([np.stack(_views_of(window.astype(float), generator)) for window in x])


def views_with_package(x: np.ndarray) -> np.ndarray:
    """Makes views as the stage `transform` does: (N, R, T, C)."""
    return np.concatenate(list(view_batches(RawWindows(x, PAPER_VIEWS, 0), np.arange(len(x)))))


def run(source: Path, files: int, output: Path, rounds: int) -> None:
    """Measures, prints the throughput and writes the report.

    Args:
        source: The folder of DSADS.
        files: The number of files to read.
        output: The JSON file of the report.
        rounds: The number of measurements of each variant, of which the median counts.

    Raises:
        DataError: `source` does not hold DSADS.
    """
    recordings = find_recordings(source)
    per_recording = len(recordings[0].segments)
    selected = recordings[: max(1, files // per_recording)]
    x = load_with_package(selected)
    report: dict[str, Any] = {"files": len(x), "rounds": rounds, "windows_per_second": {}}
    stages: dict[str, dict[str, tuple[Callable[[Any], np.ndarray], Any, int]]] = {
        "preprocessing": {"loop": (load_with_loop, selected, len(x)), "amsl_tf": (load_with_package, selected, len(x))},
        "transformation": {
            "loop": (views_with_loop, x[:LOOP_WINDOWS], len(x[:LOOP_WINDOWS])),
            "amsl_tf": (views_with_package, x, len(x)),
        },
    }
    for stage, variants in stages.items():
        seconds: dict[str, list[float]] = {name: [] for name in variants}
        for _ in range(rounds):
            for name, (function, argument, _) in variants.items():
                start = time.perf_counter()
                function(argument)
                seconds[name].append(time.perf_counter() - start)
        speeds = {name: count / statistics.median(seconds[name]) for name, (_, _, count) in variants.items()}
        report["windows_per_second"][stage] = speeds
        report[f"{stage}_speedup"] = speeds["amsl_tf"] / speeds["loop"]
        print(f"{stage:15} loop {speeds['loop']:8.0f}   amsl_tf {speeds['amsl_tf']:8.0f} windows/s", end="")
        print(f"   speedup {report[f'{stage}_speedup']:.1f}")
    write_json(output, report)
    print(f"\nreport: {output}")


def _views_of(window: np.ndarray, generator: np.random.Generator) -> list[np.ndarray]:
    pattern = generator.normal(size=window.shape)
    pattern = (pattern - pattern.mean()) / pattern.std()
    power = np.sum(window**2) / window.size
    segments = np.array_split(window, 5)
    smoothed = np.empty_like(window)
    for channel in range(window.shape[1]):
        smoothed[:, channel] = savgol_filter(window[:, channel], 11, 2)
    return [
        window,
        window + pattern * np.sqrt(power / 10**0.5),
        -window,
        window[::-1],
        np.concatenate([segments[place] for place in generator.permutation(5)]),
        window * generator.choice([0.5, 2.0, 1.5, 0.8]),
        smoothed,
    ]
