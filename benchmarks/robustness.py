"""The robustness benchmark: accuracy of detectors on test windows with noise, a silent sensor unit or a delayed one.

Each detector and condition is stored in a small JSON file and is not repeated once that exists.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from amsl_tf.config import DetectorConfig
from amsl_tf.data.files import write_json
from amsl_tf.data.splits import Protocol
from amsl_tf.data.windows import Windows
from amsl_tf.datasets.dsads import RATE, UNITS
from amsl_tf.evaluation.metrics import evaluate
from amsl_tf.scoring.threshold import percentile_threshold
from benchmarks import controls, robustness_page
from benchmarks.experiments import Run
from benchmarks.parts import Parts, fit_detector, missing_results, read_first_run, require_column

SAMPLE = 1000  # maximum number of test windows of each class

# windows (N, T, C), the windows before them (N, T, C) and a generator, to changed windows (N, T, C)
Change = Callable[[np.ndarray, np.ndarray, np.random.Generator], np.ndarray]


@dataclass(frozen=True)
class Sample:
    """A sample of test windows.

    Attributes:
        x: float32 (N, T, C), the windows.
        before: float32 (N, T, C), the preceding window of each in its recording.
        abnormal: bool (N,), the labels.
    """

    x: np.ndarray
    before: np.ndarray
    abnormal: np.ndarray


class Fitted(NamedTuple):
    """A fitted detector.

    Attributes:
        score: Computes the scores of windows (N, T, C): (N,) by name.
        thresholds: The thresholds by name of the score.
    """

    score: Callable[[np.ndarray], Mapping[str, np.ndarray]]
    thresholds: Mapping[str, float]


def unchanged(x: np.ndarray, before: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Returns the windows as they are."""
    return x


def noisy(decibels: float) -> Change:
    """Returns a change that adds Gaussian noise with this signal-to-noise ratio in each channel of a window."""

    def change(x: np.ndarray, before: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        power = np.mean(np.square(x), axis=1, keepdims=True) / 10 ** (decibels / 10)
        return (x + np.sqrt(power) * rng.normal(size=x.shape)).astype(np.float32)

    return change


def silent(x: np.ndarray, before: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Sets all channels of one unit to 0."""
    return np.where(_affected(x), np.float32(0), x)


def delayed(seconds: float) -> Change:
    """Returns a change that delays the channels of one unit."""
    steps = round(seconds * RATE)

    def change(x: np.ndarray, before: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        shifted = np.concatenate([before, x], axis=1)[:, x.shape[1] - steps : -steps]
        return np.where(_affected(x), shifted, x)

    return change


def _affected(x: np.ndarray) -> np.ndarray:
    """Marks the channels of the affected unit, which cycles from window to window: bool (N, 1, C)."""
    count, _, channels = x.shape
    return (np.arange(channels) // (channels // len(UNITS)) == np.arange(count)[:, None] % len(UNITS))[:, None]


CONDITIONS: dict[str, Change] = {
    "clean": unchanged,
    **{f"noise_{decibels}": noisy(decibels) for decibels in robustness_page.NOISE},
    "silent": silent,
    **{f"late_{seconds}": delayed(seconds) for seconds in robustness_page.DELAYS},
}


def run(source: Path, results: Path, work: Path, protocols: list[Protocol], tables: Path) -> None:
    """Evaluates the detectors in the conditions without a result, then writes the page and its figure.

    Args:
        source: The output folder of `amsl preprocess`.
        results: The folder of the JSON files.
        work: The folder of the detectors of the accuracy benchmark.
        protocols: The protocols to run.
        tables: The folder of robustness.md and robustness.png.

    Raises:
        AMSLError: The input or the trained network of a detector is missing.
    """
    for protocol in protocols:
        for detector in robustness_page.DETECTORS:
            missing = missing_results(results, f"{protocol}.{detector}", CONDITIONS)
            if not missing:
                continue
            run, parts = read_first_run(source, detector, protocol)
            fitted, sample = fit(run, parts, work), draw_sample(parts)
            for name, file in missing.items():
                print(f"protocol {protocol}, {detector}: {name}", file=sys.stderr, flush=True)
                scores = fitted.score(CONDITIONS[name](sample.x, sample.before, np.random.default_rng(0)))
                metrics = {key: evaluate(scores[key], sample.abnormal, value) for key, value in fitted.thresholds.items()}
                write_json(file, {"protocol": protocol, "detector": detector, "condition": name, "scores": metrics})
    for file in robustness_page.write(results, tables):
        print(file)


def fit(run: Run, parts: Parts, work: Path) -> Fitted:
    """Fits the detector of an experiment; see `fit_detector`."""
    if run.experiment.kind == "control":
        training_scores, score, _ = controls.fit(run.experiment.name, parts.train, parts.groups)
        threshold = percentile_threshold(training_scores, DetectorConfig().percentile, parts.groups)
        return Fitted(lambda x: {"distance": score(x)}, {"distance": threshold})
    detector = fit_detector(run, parts, work)
    return Fitted(detector.score_components, detector.thresholds_)


def draw_sample(parts: Parts) -> Sample:
    """Draws test windows of each class at random, among those that follow another window of the same recording."""
    rng, x, before, abnormal = np.random.default_rng(0), [], [], []
    for windows, tested in ((parts.normal, parts.split.test_normal), (parts.abnormal, parts.split.test_abnormal)):
        rows = tested[follows_another(windows)[tested]]
        rows = np.sort(rng.permutation(rows)[:SAMPLE])
        x.append(windows.x[rows])
        before.append(windows.x[rows - 1])
        abnormal.append(np.full(len(rows), windows is parts.abnormal))
    return Sample(*(np.concatenate(part) for part in (x, before, abnormal)))


def follows_another(windows: Windows) -> np.ndarray:
    """Returns whether the preceding window in the file is of the same recording, bool (N,)."""
    activity, subject = require_column(windows, "activity"), require_column(windows, "subject")
    return np.r_[False, (activity[1:] == activity[:-1]) & (subject[1:] == subject[:-1])]
