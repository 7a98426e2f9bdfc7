"""The detectors of the cost benchmark, each in a process of its own: `python -m benchmarks.cost_workers NAME SOURCE FOLDER`.

NAME is one of `DETECTORS` or a number of windows to fit the default detector to, SOURCE the output folder of `amsl preprocess`,
and FOLDER holds what the process writes. It answers like those of `benchmarks.workers`.
"""

import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from amsl_tf.config import DetectorConfig
from amsl_tf.evaluation.metrics import evaluate
from amsl_tf.scoring.threshold import percentile_threshold
from benchmarks import features
from benchmarks.experiments import Experiment, Run, read_experiments
from benchmarks.packages import installed_packages
from benchmarks.parts import Parts, read_parts
from benchmarks.workers import SEED, Task, serve

ENSEMBLE: dict[str, Any] = {"network": None, "score": "ensemble"}
COMPACT: dict[str, Any] = {"network": "amsl", "preset": "compact", "score": "reconstruction"}
PAPER: dict[str, Any] = {"network": "amsl", "preset": "paper", "score": "reconstruction"}
SAMPLE = 320  # windows that the paper's network is fitted to and scores; all would take a quarter of an hour
WARM_UP = 64  # windows that are scored after a fit, before time is measured, so that graphs are compiled
ALONE = 20  # windows that are scored one by one
GROWTH_SHAPE = (32, 8)
CHUNK = 10_000  # windows that are written at once
NOISE = 0.1  # of the standard deviation of a channel


class Fitted(NamedTuple):
    """A fitted detector.

    Attributes:
        score: Computes the scores (M,) of windows (M, T, C).
        threshold: The threshold, fitted without other data than the training windows.
        detector: The detector itself, if it is an AMSLDetector.
    """

    score: Callable[[np.ndarray], np.ndarray]
    threshold: float
    detector: Any = None


Fit = Callable[[Parts], Fitted]


def amsl(settings: dict[str, Any], most: int | None = None) -> Fit:
    """Returns the function that fits AMSLDetector to the training windows, or to the first of them."""
    from amsl_tf.detector import AMSLDetector

    def fit(parts: Parts) -> Fitted:
        detector = AMSLDetector(**settings, axes=parts.axes).fit(parts.train[:most])
        return Fitted(detector.decision_function, detector.threshold_, detector)

    return fit


def knn() -> Fit:
    """Returns the function that fits pyod's k-NN to flattened, standardised windows."""
    from pyod.models.knn import KNN
    from sklearn.preprocessing import StandardScaler

    def fit(parts: Parts) -> Fitted:
        scaler = StandardScaler()
        model = KNN(contamination=DetectorConfig().contamination).fit(scaler.fit_transform(features.raw(parts.train)))
        return Fitted(lambda windows: model.decision_function(scaler.transform(features.raw(windows))), model.threshold_)

    return fit


def minirocket() -> Fit:
    """Returns the function that fits the distance to the nearest window by MiniRocket features, as the peer does."""
    from aeon.transformations.collection.convolution_based import MiniRocket
    from sklearn.neighbors import NearestNeighbors
    from sklearn.preprocessing import StandardScaler

    def fit(parts: Parts) -> Fitted:
        windows = features.channels_first(parts.train)
        rocket, scaler = MiniRocket(random_state=SEED, n_jobs=-1).fit(windows), StandardScaler()
        search = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(scaler.fit_transform(rocket.transform(windows)))
        left_out = search.kneighbors()[0][:, 0]  # of each training window to the others

        def score(others: np.ndarray) -> np.ndarray:
            described = scaler.transform(rocket.transform(features.channels_first(others)))
            distances: np.ndarray = search.kneighbors(described)[0][:, 0]
            return distances

        return Fitted(score, percentile_threshold(left_out, DetectorConfig().percentile))

    return fit


# what imports the packages and returns the function that fits, by the name of its task; the last one scores
DETECTORS: dict[str, dict[str, Callable[[], Fit]]] = {
    "default": {"fit": partial(amsl, ENSEMBLE)},
    "compact": {"fit": partial(amsl, COMPACT)},
    "paper": {f"fit {epochs}": partial(amsl, {**PAPER, "epochs": epochs}, most=SAMPLE) for epochs in (1, 2)},
    "knn": {"fit": knn},
    "minirocket": {"fit": minirocket},
}
AMSL = ("default", "compact", "paper")
REPEATED = ("fit", "fit 1", "fit 2", "warm-up", "scoring", "latency")  # tasks, in order


class Session:
    """The tasks of a detector.

    Args:
        name: The name in `DETECTORS`.
        parts: The windows.
        folder: The folder that the detector is saved to.
    """

    def __init__(self, name: str, parts: Parts, folder: Path) -> None:
        self.name, self.parts, self.folder = name, parts, folder
        with installed_packages(name):
            self.fits = {task: make() for task, make in DETECTORS[name].items()}
        self.windows = parts.test[:SAMPLE] if name == "paper" else parts.test
        self.fitted = Fitted(lambda windows: np.zeros(len(windows)), 0.0)
        self.scores = np.zeros(0)

    def tasks(self) -> dict[str, Task]:
        """Returns the tasks: those of `REPEATED`, `accuracy` of all test windows, and two of AMSLDetector."""
        tasks = {name: Task(len(self.parts.train), partial(self._fit, fit)) for name, fit in self.fits.items()}
        tasks |= {
            "warm-up": Task(None, lambda: len(self.fitted.score(self.windows[:WARM_UP]))),
            "scoring": Task(len(self.windows), self._score),
            "latency": Task(None, self._time_alone),
            "accuracy": Task(None, self._evaluate),
        }
        if self.name in AMSL:
            tasks["operations"] = Task(None, lambda: count_operations(self.fitted.detector))
            tasks["save"] = Task(None, lambda: self.fitted.detector.save(self.folder))
        return tasks

    def _fit(self, fit: Fit) -> None:
        self.fitted = fit(self.parts)

    def _score(self) -> None:
        self.scores = self.fitted.score(self.windows)

    def _time_alone(self) -> float:
        """Returns the median time of scoring one window, in seconds."""
        seconds = []
        for place in range(ALONE + 1):
            start = time.perf_counter()
            self.fitted.score(self.windows[place : place + 1])
            seconds.append(time.perf_counter() - start)
        return statistics.median(seconds[1:])

    def _evaluate(self) -> dict[str, float]:
        """Returns the F1 and the AUROC of the scores of all test windows."""
        metrics = evaluate(self.scores, self.parts.is_abnormal, self.fitted.threshold)
        return {name: float(metrics[name]) for name in ("f1", "auroc")}


def count_operations(detector: Any) -> float:
    """Counts the floating-point operations of the decision score of a window, as one of a batch.

    TensorFlow counts those of convolutions, matrix multiplications, sums and most others, but not of `einsum` and Fourier
    transforms, which are few.
    """
    import tensorflow as tf

    from amsl_tf.scoring.pipeline import BATCH, SCORE

    pipeline, output = detector.pipeline, SCORE + detector.config_.score
    function = tf.function(partial(pipeline.compute, outputs=(output,)), autograph=False)
    graph = function.get_concrete_function(tf.TensorSpec((BATCH, *pipeline.shape), tf.float32)).graph
    builder = tf.compat.v1.profiler.ProfileOptionBuilder
    options = builder(builder.float_operation()).with_empty_output().build()
    return float(tf.compat.v1.profiler.profile(graph, options=options).total_float_ops / BATCH)


def make_growth(count: int, parts: Parts, folder: Path) -> dict[str, Task]:
    """Makes the task of fitting the default detector to a number of memory-mapped windows."""
    from amsl_tf.detector import AMSLDetector

    file = folder / f"{count}.npy"
    write_windows(file, count, parts.train)
    windows = np.load(file, mmap_mode="r")
    return {"fit": Task(count, lambda: AMSLDetector(**ENSEMBLE).fit(windows))}


def write_windows(file: Path, count: int, source: np.ndarray) -> None:
    """Writes windows, float32 (count, *GROWTH_SHAPE): rows and the first channels of random windows (N, T, C), with noise."""
    (steps, channels), random = GROWTH_SHAPE, np.random.default_rng(SEED)
    source = source[:, :, :channels]
    deviation = source.std(axis=(0, 1))
    written = np.lib.format.open_memmap(file, "w+", np.float32, (count, *GROWTH_SHAPE))
    for start in range(0, count, CHUNK):
        places = random.integers(len(source), size=(min(CHUNK, count - start), 1))
        first = random.integers(source.shape[1] - steps + 1, size=places.shape)
        cut = source[places, first + np.arange(steps)]
        written[start : start + len(cut)] = cut + NOISE * deviation * random.normal(size=cut.shape)
    written.flush()


def main(name: str, source: str, folder: str) -> None:
    """Serves the tasks of a detector by name, or of fitting the default detector to a number of windows."""

    def make() -> dict[str, Task]:
        _, test_subjects = read_experiments()
        parts = read_parts(Path(source), Run(Experiment(name, name, "detector", {}), "window", SEED), test_subjects)
        return Session(name, parts, Path(folder)).tasks() if name in DETECTORS else make_growth(int(name), parts, Path(folder))

    serve(make)


if __name__ == "__main__":
    main(*sys.argv[1:])
