"""How well abnormal windows are told from normal ones: named experiments, each run a small JSON file, and a table of all.

A run that is finished is never run again; an interrupted training of the detector goes on where it was.
"""

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from amsl_tf.config import DetectorConfig
from amsl_tf.data.files import write_json
from amsl_tf.data.splits import Protocol, protocol_split
from amsl_tf.data.store import GENERATED, open_windows, read_axes
from amsl_tf.data.windows import Windows
from amsl_tf.errors import AMSLError
from amsl_tf.evaluation import evaluate
from amsl_tf.saved import WEIGHTS, read_summary
from amsl_tf.threshold import percentile_threshold
from benchmarks import accuracy_table
from benchmarks.experiments import Run, read_experiments

ADVICE = "Run scripts/preprocessing.py first, or name the folder that it wrote with --input."


@dataclass(frozen=True)
class Parts:
    """The windows of a run.

    Attributes:
        train: Normal windows.
        groups: The person of each of them, in the protocol `subject`.
        test: Normal windows and, after them, abnormal ones, float32 (M, T, C).
        abnormal: bool (M,).
        axes: Consecutive channels of one sensor.
    """

    train: Windows
    groups: np.ndarray | None
    test: np.ndarray
    abnormal: np.ndarray
    axes: int


def run(source: Path, results: Path, work: Path, only: list[str], protocols: list[Protocol], tables: Path) -> None:
    """Runs what has no result yet, writes the table after every run.

    Args:
        source: The folder that preprocessing wrote.
        results: Folder of the JSON files.
        work: Keeps the state of an interrupted training, and the detectors: where only scores changed, the JSON file of a run
            can be removed and is made again without training.
        only: Names of experiments; all if empty.
        protocols: Which to run.
        tables: The folder of RESULTS.md and README.md, which get the tables.

    Raises:
        AMSLError: The input is missing or broken, or a name is unknown.
    """
    experiments, people = read_experiments(only)
    todo = [
        Run(experiment, protocol, number)
        for experiment in experiments
        for protocol in protocols
        for number in range(experiment.runs.get(protocol, 0))
    ]
    for one in todo:
        if one.file(results).exists():
            continue
        print(f"{one.experiment.name}, protocol {one.protocol}, run {one.number + 1}", file=sys.stderr, flush=True)
        parts = _parts(source, one, people)
        write_json(one.file(results), {**_about(one, people), "scores": _scores(one, parts, work)})
        accuracy_table.write(results, tables)
    accuracy_table.write(results, tables)
    print(f"results: {results}\ntables:  {tables / 'RESULTS.md'}, {tables / 'README.md'}")


def _about(one: Run, people: list[list[str]]) -> dict[str, Any]:
    about = {"experiment": one.experiment.name, "protocol": one.protocol, "run": one.number, "seed": one.seed}
    tested = {"test_people": people[one.number]} if one.protocol == "subject" else {}
    return {**about, **tested, "settings": one.experiment.settings}


def _parts(source: Path, one: Run, people: list[list[str]]) -> Parts:
    normal, abnormal = (open_windows(source / f"{kind}.npy", source / f"{kind}.csv", ADVICE) for kind in GENERATED)
    tested, subjects = (people[one.number], normal.subject) if one.protocol == "subject" else ([], None)
    split = protocol_split(normal, abnormal, one.protocol, test_subjects=tested, seed=one.seed)
    return Parts(
        Windows(normal.x[split.train]),
        None if subjects is None else subjects[split.train],
        np.concatenate([normal.x[split.test_normal], abnormal.x[split.test_abnormal]]),
        np.arange(len(split.test_normal) + len(split.test_abnormal)) >= len(split.test_normal),
        read_axes(source, ADVICE),
    )


def _scores(one: Run, parts: Parts, work: Path) -> dict[str, dict[str, float]]:
    """Metrics by name of the score."""
    scored = {"detector": _run_detector, "upstream": _run_upstream, "control": _run_control}[one.experiment.kind](
        one, parts, work
    )
    return {
        name: evaluate(tested, parts.abnormal, percentile_threshold(trained_on, DetectorConfig().percentile, parts.groups))
        for name, (trained_on, tested) in scored.items()
    }


Scored = dict[str, tuple[np.ndarray, np.ndarray]]  # scores of training and of test windows, by name of the score


def _run_detector(one: Run, parts: Parts, work: Path) -> Scored:
    from amsl_tf.detector import AMSLDetector
    from amsl_tf.models.amsl import build_amsl
    from amsl_tf.scoring import SCORERS

    detector = AMSLDetector(**one.experiment.settings, seed=one.seed, axes=parts.axes)
    folder = one.detector(work)
    if not one.experiment.trained:
        with tempfile.TemporaryDirectory() as temporary:
            weights = Path(temporary) / "random.weights.h5"
            build_amsl(detector.config.model, parts.train.x.shape[1:], seed=one.seed).save_weights(weights)
            detector.fit(parts.train, parts.groups, weights=weights)
    elif _holds(folder, detector.config, parts.train.x):
        detector.fit(parts.train, parts.groups, weights=folder / WEIGHTS)
    else:
        detector.fit(parts.train, parts.groups, work_dir=folder.with_name(f".{folder.name}.training"))
        detector.save(folder)
        detector.discard_work()
    tested = detector.score_components(parts.test)
    return {name: (detector.training_scores_[name], tested[name]) for name in SCORERS}


def _holds(folder: Path, config: DetectorConfig, windows: np.ndarray) -> bool:
    """Whether a folder holds a detector with a network that was trained so: it need not be trained again.

    After a change to the network or its training the folder has to be removed.
    """
    from amsl_tf.fingerprint import hash_windows

    try:
        saved = read_summary(folder)
    except AMSLError:  # there is none, or it is of an older format
        return False
    wanted = (config.model, config.training, hash_windows(windows))
    return (saved.config.model, saved.config.training, saved.data["sha256"]) == wanted


def _run_upstream(one: Run, parts: Parts, work: Path) -> Scored:
    from benchmarks.upstream import train_and_score

    return train_and_score(parts.train.x, parts.test, epochs=one.experiment.settings["epochs"], seed=one.seed)


def _run_control(one: Run, parts: Parts, work: Path) -> Scored:
    from benchmarks import controls

    return {"distance": controls.run(one.experiment.name, parts.train.x, parts.groups, parts.test)}
