"""How detection suffers where sensors are noisy, silent or late: a trained detector, test windows that are changed.

Each condition is a small JSON file; those that are finished are not run again.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from amsl_tf.data.dsads import RATE, UNITS
from amsl_tf.data.files import write_json
from amsl_tf.data.splits import Protocol
from amsl_tf.data.windows import Windows
from amsl_tf.evaluation import evaluate
from amsl_tf.threshold import percentile_threshold
from benchmarks import controls, robustness_page
from benchmarks.parts import Parts, labels, trained_detector, unfinished

SAMPLE = 1000  # test windows of each class, at most
CONTROL = "nearest_norm_spectra"  # of those that are no part of the nearest-normal score the best where people are known

Change = Callable[[np.ndarray, np.ndarray, np.random.Generator], np.ndarray]


@dataclass(frozen=True)
class Sample:
    """Test windows, and what was measured just before each of them: float32 (N, T, C); which are abnormal: bool (N,)."""

    x: np.ndarray
    before: np.ndarray
    abnormal: np.ndarray


def unchanged(x: np.ndarray, before: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The windows as they are."""
    return x


def noisy(decibels: float) -> Change:
    """Gaussian noise in every channel, so that the channel's power in the window is so many decibels above the noise's."""

    def change(x: np.ndarray, before: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        power = np.mean(np.square(x), axis=1, keepdims=True) / 10 ** (decibels / 10)
        return (x + np.sqrt(power) * rng.normal(size=x.shape)).astype(np.float32)

    return change


def silent(x: np.ndarray, before: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """All channels of one unit are 0."""
    return np.where(_failing(x), np.float32(0), x)


def late(seconds: float) -> Change:
    """One unit's clock is late: its channels show what they measured so many seconds before the others."""
    steps = round(seconds * RATE)

    def change(x: np.ndarray, before: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        delayed = np.concatenate([before, x], axis=1)[:, x.shape[1] - steps : -steps]
        return np.where(_failing(x), delayed, x)

    return change


def _failing(x: np.ndarray) -> np.ndarray:
    """bool (N, 1, C): the channels of the unit that fails, another one from window to window."""
    count, _, channels = x.shape
    return (np.arange(channels) // (channels // len(UNITS)) == np.arange(count)[:, None] % len(UNITS))[:, None]


CONDITIONS: dict[str, Change] = {
    "clean": unchanged,
    **{f"noise_{decibels}": noisy(decibels) for decibels in robustness_page.NOISE},
    "silent": silent,
    **{f"late_{seconds}": late(seconds) for seconds in robustness_page.LATE},
}


def run(source: Path, results: Path, work: Path, protocols: list[Protocol], tables: Path) -> None:
    """Runs what has no result yet, then writes table and figure.

    Args:
        source: The folder that preprocessing wrote.
        results: Folder of the JSON files.
        work: Where the accuracy benchmark keeps its detectors.
        protocols: Which to run.
        tables: The folder of robustness.md and robustness.png.

    Raises:
        AMSLError: The input or the detector is missing.
    """
    for protocol in protocols:
        todo = unfinished(results, protocol, CONDITIONS)
        if not todo:
            continue
        detector, parts = trained_detector(source, work, protocol)
        own, score, _ = controls.fit(CONTROL, parts.train, parts.groups)
        thresholds = {**detector.thresholds_, "control": percentile_threshold(own, detector.config.percentile, parts.groups)}
        sample = draw_sample(parts)
        for name, file in todo.items():
            print(f"protocol {protocol}: {name}", file=sys.stderr, flush=True)
            changed = CONDITIONS[name](sample.x, sample.before, np.random.default_rng(0))
            scores = {**detector.score_components(changed), "control": score(changed)}
            metrics = {key: evaluate(scores[key], sample.abnormal, value) for key, value in thresholds.items()}
            write_json(file, {"protocol": protocol, "condition": name, "scores": metrics})
    for file in robustness_page.write(results, tables):
        print(file)


def draw_sample(parts: Parts) -> Sample:
    """Of each class of the test windows some, by chance; only such as follow another window of the same recording."""
    rng, x, before, abnormal = np.random.default_rng(0), [], [], []
    for windows, tested in ((parts.normal, parts.split.test_normal), (parts.abnormal, parts.split.test_abnormal)):
        rows = tested[follows(windows)[tested]]
        rows = np.sort(rng.permutation(rows)[:SAMPLE])
        x.append(windows.x[rows])
        before.append(windows.x[rows - 1])
        abnormal.append(np.full(len(rows), windows is parts.abnormal))
    return Sample(*(np.concatenate(part) for part in (x, before, abnormal)))


def follows(windows: Windows) -> np.ndarray:
    """bool (N,): whether the window before, in the order of the files, is of the same recording."""
    activity, subject = labels(windows, "activity"), labels(windows, "subject")
    return np.r_[False, (activity[1:] == activity[:-1]) & (subject[1:] == subject[:-1])]
