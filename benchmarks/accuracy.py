"""How well abnormal windows are told from normal ones: named experiments, each run a small JSON file, and a table of all.

A run that is finished is never run again; an interrupted training of the detector goes on where it was.
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from amsl_tf.config import DetectorConfig
from amsl_tf.data.files import write_json
from amsl_tf.data.splits import Protocol
from amsl_tf.evaluation import evaluate
from amsl_tf.saved import WEIGHTS
from amsl_tf.threshold import percentile_threshold
from benchmarks import accuracy_table
from benchmarks.experiments import Run, read_experiments
from benchmarks.parts import Parts, holds, read_parts


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
        parts = read_parts(source, one, people)
        write_json(one.file(results), {**_about(one, people), "scores": _scores(one, parts, work)})
        accuracy_table.write(results, tables)
    accuracy_table.write(results, tables)
    print(f"results: {results}\ntables:  {tables / 'RESULTS.md'}, {tables / 'README.md'}")


def _about(one: Run, people: list[list[str]]) -> dict[str, Any]:
    about = {"experiment": one.experiment.name, "protocol": one.protocol, "run": one.number, "seed": one.seed}
    tested = {"test_people": people[one.number]} if one.protocol == "subject" else {}
    return {**about, **tested, "settings": one.experiment.settings}


def _scores(one: Run, parts: Parts, work: Path) -> dict[str, dict[str, Any]]:
    """Metrics by name of the score; under `whole` those of the test windows that do not end in zeros."""
    scored = {"detector": _run_detector, "upstream": _run_upstream, "control": _run_control}[one.experiment.kind](
        one, parts, work
    )
    metrics: dict[str, dict[str, Any]] = {}
    for name, (trained_on, tested) in scored.items():
        threshold = percentile_threshold(trained_on, DetectorConfig().percentile, parts.groups)
        whole = evaluate(tested[parts.is_whole], parts.is_abnormal[parts.is_whole], threshold)
        metrics[name] = {**evaluate(tested, parts.is_abnormal, threshold), "whole": whole}
    return metrics


Scored = dict[str, tuple[np.ndarray, np.ndarray]]  # scores of training and of test windows, by name of the score


def _run_detector(one: Run, parts: Parts, work: Path) -> Scored:
    from amsl_tf.detector import AMSLDetector
    from amsl_tf.models import build_network
    from amsl_tf.scoring import SCORERS

    detector = AMSLDetector(**one.experiment.settings, seed=one.seed, axes=parts.axes)
    folder, train = one.detector(work), parts.train
    if not one.experiment.trained:
        with tempfile.TemporaryDirectory() as temporary:
            weights = Path(temporary) / "random.weights.h5"
            build_network(detector.config.model, train.shape[1:], seed=one.seed).save_weights(weights)
            detector.fit(train, parts.groups, weights=weights)
    elif holds(folder, detector.config, train):
        detector.fit(train, parts.groups, weights=folder / WEIGHTS)
    else:
        detector.fit(train, parts.groups, work_dir=folder.with_name(f".{folder.name}.training"))
        detector.save(folder)
        detector.discard_work()
    tested = detector.score_components(parts.test)
    return {name: (detector.training_scores_[name], tested[name]) for name in SCORERS}


def _run_upstream(one: Run, parts: Parts, work: Path) -> Scored:
    from benchmarks.upstream import train_and_score

    return train_and_score(parts.train, parts.test, epochs=one.experiment.settings["epochs"], seed=one.seed)


def _run_control(one: Run, parts: Parts, work: Path) -> Scored:
    from benchmarks import controls

    own, score = controls.fit(one.experiment.name, parts.train, parts.groups)
    return {"distance": (own, score(parts.test))}
