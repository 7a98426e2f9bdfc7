"""How well abnormal windows are told from normal ones: named experiments, each run a small JSON file, and a table of all.

A run that is finished is never run again; an interrupted training of AMSLDetector goes on where it was, others start anew.
"""

import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, TypeVar

import numpy as np

from amsl_tf.config import DetectorConfig
from amsl_tf.data.files import read_json, write_json
from amsl_tf.data.splits import Protocol
from amsl_tf.errors import AMSLError
from amsl_tf.evaluation import evaluate
from amsl_tf.saved import WEIGHTS, read_summary
from amsl_tf.threshold import percentile_threshold
from benchmarks import accuracy_table
from benchmarks.experiments import Run, read_experiments
from benchmarks.pages import parts_of
from benchmarks.parts import Parts, holds, labels, read_parts

WARM_UP = 64  # windows that are scored before the time is taken: graphs are compiled


def run(source: Path, results: Path, work: Path, only: list[str] | None, protocols: list[Protocol], tables: Path) -> None:
    """Runs what has no result yet, writes the table after every run.

    Args:
        source: The folder that preprocessing wrote.
        results: Folder of the JSON files.
        work: Keeps the state of an interrupted training, and the detectors: where only scores changed, the JSON file of a run
            can be removed and is made again without training.
        only: Names of experiments; else all.
        protocols: Which to run.
        tables: The folder of RESULTS.md and README.md, which get the tables.

    Raises:
        AMSLError: The input is missing or broken, a name is unknown, a result is of other settings than those in the
            TOML file, or README.md has no place for the tables.
    """
    parts_of(tables / "README.md", accuracy_table.START, accuracy_table.END)  # what is wrong is told before hours of training
    experiments, people = read_experiments(only or ())
    todo = [
        Run(experiment, protocol, number)
        for experiment in experiments
        for protocol in protocols
        for number in range(experiment.runs.get(protocol, 0))
    ]
    for one in todo:
        if one.file(results).exists():
            _check_same(one, people, one.file(results))
            continue
        print(f"{one.experiment.name}, protocol {one.protocol}, run {one.number + 1}", file=sys.stderr, flush=True)
        from amsl_tf.precision import device_name  # late: TensorFlow, which a table of finished runs does not need

        parts = read_parts(source, one, people)
        scored = SCORED[one.experiment.kind](one, parts, work)
        machine = {"device": device_name(), "precision": scored.precision}
        about = {**_about(one, people), "machine": machine, "cost": scored.cost}
        write_json(one.file(results), {**about, "scores": _metrics(scored, parts)})
        accuracy_table.write(results, tables)
    accuracy_table.write(results, tables)
    print(f"results: {results}\ntables:  {tables / 'RESULTS.md'}, {tables / 'README.md'}")


def _about(one: Run, people: list[list[str]]) -> dict[str, Any]:
    about = {"experiment": one.experiment.name, "protocol": one.protocol, "run": one.number, "seed": one.seed}
    tested = {"test_people": people[one.number]} if one.protocol == "subject" else {}
    return {**about, **tested, "settings": one.experiment.settings}


def _check_same(one: Run, people: list[list[str]], file: Path) -> None:
    """Raises AMSLError if a result was made by what the experiment no longer is."""
    advice = f"Remove {file} and run the experiment again."
    now = _about(one, people)
    before = {name: value for name, value in read_json(file, advice, tuple(now)).items() if name in now}
    if before != now:
        raise AMSLError(f"{file}: expected a result of {now}, found one of {before}. {advice}")


@dataclass(frozen=True)
class Scored:
    """What a run has scored.

    Attributes:
        scores: Scores of normal windows, which the threshold is set by, and of test windows, by name of the score.
        groups: The person of each of these normal windows, in the protocol `subject`.
        cost: Seconds of one fit, test windows scored in a second, parameters; and what was chosen on the way.
        precision: That AMSL or a network like it was trained in, as a Keras dtype policy.
        percentile: Of the normal scores, that is the threshold.
        shared: Scores that windows share.
    """

    scores: dict[str, tuple[np.ndarray, np.ndarray]]
    groups: np.ndarray | None
    cost: dict[str, Any]
    precision: str | None = None
    percentile: float = DetectorConfig().percentile
    shared: tuple[str, ...] = ()


def _metrics(scored: Scored, parts: Parts) -> dict[str, dict[str, Any]]:
    """Metrics by name of the score; under `whole`, unless shared, those of the test windows that do not end in zeros."""
    metrics: dict[str, dict[str, Any]] = {}
    for name, (normal, tested) in scored.scores.items():
        threshold = percentile_threshold(normal, scored.percentile, scored.groups)
        metrics[name] = dict(evaluate(tested, parts.is_abnormal, threshold))
        if name not in scored.shared:
            metrics[name]["whole"] = evaluate(tested[parts.is_whole], parts.is_abnormal[parts.is_whole], threshold)
    return metrics


def _run_detector(one: Run, parts: Parts, work: Path) -> Scored:
    from amsl_tf.detector import AMSLDetector
    from amsl_tf.models import build_network
    from amsl_tf.scoring import SCORERS

    detector = AMSLDetector(**one.experiment.settings, seed=one.seed, axes=parts.axes)
    folder, train = one.detector(work), parts.train
    seconds, start = None, perf_counter()
    if not one.experiment.trained:
        with tempfile.TemporaryDirectory() as temporary:
            weights = Path(temporary) / "random.weights.h5"
            build_network(detector.config.model, train.shape[1:], seed=one.seed).save_weights(weights)
            detector.fit(train, groups=parts.groups, weights=weights)
    elif holds(folder, detector.config, train):
        detector.fit(train, groups=parts.groups, weights=folder / WEIGHTS)
    else:
        state = folder.with_name(f".{folder.name}.training")
        resumed = state.exists()
        detector.fit(train, groups=parts.groups, work_dir=state)
        seconds = None if resumed else perf_counter() - start
        detector.save(folder)
        detector.discard_work()
    tested, rate = _timed(detector.score_components, parts.test)
    cost = {"seconds": seconds, "windows_per_second": rate, "parameters": detector.scoring_path.network.count_params()}
    precision = read_summary(folder).data.get("precision") if one.experiment.trained else None
    scores = {name: (detector.training_scores_[name], tested[name]) for name in SCORERS}
    return Scored(scores, parts.groups, cost, precision, detector.config.percentile)


def _run_upstream(one: Run, parts: Parts, work: Path) -> Scored:
    from benchmarks.upstream import SHARED, train_and_score

    scores = train_and_score(parts.train, parts.test, epochs=one.experiment.settings["epochs"], seed=one.seed)
    return Scored(scores, parts.groups, {}, "float32", shared=(SHARED,))


def _run_control(one: Run, parts: Parts, work: Path) -> Scored:
    from benchmarks import controls

    own, score, seconds = controls.fit(one.experiment.name, parts.train, parts.groups)
    tested, rate = _timed(score, parts.test)
    return Scored({"distance": (own, tested)}, parts.groups, {"seconds": seconds, "windows_per_second": rate})


def _run_baseline(one: Run, parts: Parts, work: Path) -> Scored:
    from benchmarks.baselines.interface import Normal, load

    activity, subject = (labels(parts.normal, name)[parts.split.train] for name in ("activity", "subject"))
    fitted = load(one.experiment.name)(Normal(parts.train, activity, subject, one.protocol, one.seed))
    tested, rate = _timed(fitted.score, parts.test)
    cost = {"seconds": fitted.seconds, "windows_per_second": rate, "parameters": fitted.parameters, **fitted.about}
    return Scored({"own": (fitted.own, tested)}, fitted.groups, cost)


SCORED = {"detector": _run_detector, "upstream": _run_upstream, "control": _run_control, "baseline": _run_baseline}


T = TypeVar("T")


def _timed(score: Callable[[np.ndarray], T], windows: np.ndarray) -> tuple[T, float]:
    """What `score` gives, and windows scored in a second, all at once, after a few others."""
    score(windows[:WARM_UP])
    start = perf_counter()
    scores = score(windows)
    return scores, len(windows) / (perf_counter() - start)
