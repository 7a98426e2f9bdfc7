"""The accuracy benchmark: runs the experiments of `accuracy.toml` on DSADS and writes the tables of results.

Each run is stored in a small JSON file and is not repeated once that exists. An interrupted training of AMSLDetector resumes;
other methods start again.
"""

import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import perf_counter, process_time
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from amsl_tf.config import DetectorConfig
from amsl_tf.data.files import read_json, write_json
from amsl_tf.data.splits import Protocol
from amsl_tf.errors import AMSLError
from amsl_tf.evaluation.metrics import evaluate
from amsl_tf.persistence import WEIGHTS, read_summary
from amsl_tf.scoring.threshold import percentile_threshold
from benchmarks import accuracy_table
from benchmarks.experiments import Run, read_experiments
from benchmarks.parts import Parts, has_trained_network, make_detector, read_parts, require_column
from benchmarks.rows import OWN

if TYPE_CHECKING:
    from amsl_tf.scoring.pipeline import ScoringPipeline

WARM_UP = 64  # windows that are scored before time is measured, so that graphs are compiled


def run(source: Path, results: Path, work: Path, only: list[str] | None, protocols: list[Protocol], tables: Path) -> None:
    """Runs the experiments without a result, and writes the tables after each run.

    Args:
        source: The output folder of `amsl preprocess`.
        results: The folder of the JSON files.
        work: The folder of detectors and of the state of an interrupted training. If only scores changed, remove the JSON file
            of a run: it is computed again without training.
        only: The names of experiments; None runs all.
        protocols: The protocols to run.
        tables: The folder of RESULTS.md, README.md and docs/results.md.

    Raises:
        AMSLError: The input is missing or broken, a name is unknown, a stored result has other settings than the experiment,
            or a page lacks the marker lines of its table.
    """
    accuracy_table.check_pages(tables)  # before hours of training
    experiments, test_subjects = read_experiments(only or ())
    planned = [
        Run(experiment, protocol, number)
        for experiment in experiments
        for protocol in protocols
        for number in range(experiment.runs.get(protocol, 0))
    ]
    for job in planned:
        if job.file(results).exists():
            _check_settings(job, test_subjects, job.file(results))
            continue
        print(f"{job.experiment.name}, protocol {job.protocol}, run {job.number + 1}", file=sys.stderr, flush=True)
        from amsl_tf.training.precision import device_name  # imports TensorFlow, which the tables alone do not need

        parts = read_parts(source, job, test_subjects)
        scored = RUNNERS[job.experiment.kind](job, parts, work)
        machine = {"device": device_name(), "precision": scored.precision}
        metadata = {**_settings(job, test_subjects), "machine": machine, "cost": scored.cost}
        write_json(job.file(results), {**metadata, "scores": _metrics(scored, parts)})
        accuracy_table.write(results, tables)
    pages = accuracy_table.write(results, tables)
    print(f"results: {results}\ntables:  {', '.join(map(str, pages))}")


def _settings(job: Run, test_subjects: list[list[str]]) -> dict[str, Any]:
    """Returns what a stored result must agree with."""
    settings = {"experiment": job.experiment.name, "protocol": job.protocol, "run": job.number, "seed": job.seed}
    tested = {"test_subjects": test_subjects[job.number]} if job.protocol == "subject" else {}
    abnormal = {"abnormal": job.experiment.abnormal} if job.experiment.abnormal else {}
    return {**settings, **tested, **abnormal, "settings": job.experiment.settings}


def _check_settings(job: Run, test_subjects: list[list[str]], file: Path) -> None:
    """Raises AMSLError if a stored result has other settings than the experiment."""
    advice = f"Remove {file} and run the experiment again."
    expected = _settings(job, test_subjects)
    stored = {name: value for name, value in read_json(file, advice, tuple(expected)).items() if name in expected}
    if stored != expected:
        raise AMSLError(f"{file}: expected a result of {expected}. Received: {stored}. {advice}")


@dataclass(frozen=True)
class RunScores:
    """The scores of a run.

    Attributes:
        scores: The scores of normal windows, which determine the threshold, and of the test windows, by name of the score.
        groups: (N,), the subject of each of these normal windows in the protocol `subject`, otherwise None.
        cost: Seconds and CPU seconds of one fit, test windows scored per second, number of parameters, millions of
            floating-point operations to score a window; also the selected settings.
        precision: The Keras dtype policy that the network was trained in; None without a training.
        percentile: The percentile of the normal scores that is the threshold.
        batch_scores: The names of scores that all windows of a batch share.
    """

    scores: dict[str, tuple[np.ndarray, np.ndarray]]
    groups: np.ndarray | None
    cost: dict[str, Any]
    precision: str | None = None
    percentile: float = DetectorConfig().percentile
    batch_scores: tuple[str, ...] = ()


def _metrics(scored: RunScores, parts: Parts) -> dict[str, dict[str, Any]]:
    """Computes the metrics by name of the score.

    Except for scores of batches, `excluding_zero_padded` holds the metrics without the zero-padded test windows.
    """
    metrics: dict[str, dict[str, Any]] = {}
    kept = ~parts.is_zero_padded
    for name, (normal, tested) in scored.scores.items():
        threshold = percentile_threshold(normal, scored.percentile, scored.groups)
        metrics[name] = dict(evaluate(tested, parts.is_abnormal, threshold))
        if name not in scored.batch_scores:
            metrics[name]["excluding_zero_padded"] = evaluate(tested[kept], parts.is_abnormal[kept], threshold)
    return metrics


def _run_detector(job: Run, parts: Parts, work: Path) -> RunScores:
    from amsl_tf.networks import build_network

    detector = make_detector(job, parts)
    folder, train = job.detector(work), parts.train
    seconds: dict[str, float | None] = {"seconds": None, "cpu_seconds": None}
    start = perf_counter(), process_time()
    if detector.config.network is None:
        detector.fit(train, groups=parts.groups)
        seconds = _seconds_since(*start)
    elif not job.experiment.trained:
        with tempfile.TemporaryDirectory() as temporary:
            weights = Path(temporary) / "initial.weights.h5"
            build_network(detector.config.network, train.shape[1:], seed=job.seed).save_weights(weights)
            detector.fit(train, groups=parts.groups, weights=weights)
    elif has_trained_network(folder, detector.config, train):
        detector.fit(train, groups=parts.groups, weights=folder / WEIGHTS)
    else:
        state = folder.with_name(f".{folder.name}.training")
        resumed = state.exists()
        detector.fit(train, groups=parts.groups, work_dir=state)
        if not resumed:
            seconds = _seconds_since(*start)
        detector.save(folder)
        detector.discard_work()
    tested, rate = _time_scoring(detector.score_components, parts.test)
    network = detector.pipeline.network
    cost = {
        **seconds,
        "windows_per_second": rate,
        "parameters": None if network is None else network.count_params(),
        "mflop": count_flops(detector.pipeline) / 1e6,
    }
    precision = read_summary(folder).data.get("precision") if network is not None and job.experiment.trained else None
    scores = {name: (detector.training_scores_[name], tested[name]) for name in detector.config.scores}
    return RunScores(scores, parts.groups, cost, precision, detector.config.percentile)


def _seconds_since(start: float, cpu_start: float) -> dict[str, float | None]:
    """Returns the seconds since a reading of both clocks, and those of all cores that this process used."""
    return {"seconds": perf_counter() - start, "cpu_seconds": process_time() - cpu_start}


def count_flops(pipeline: "ScoringPipeline") -> float:
    """Counts the floating-point operations of scoring a window, by all scores, in batches of the usual size.

    Convolutions, matrix multiplications and elementwise operations count, as far as TensorFlow's profiler knows their cost:
    not sorting, Fourier transforms, and nearest neighbours beyond the matrix of distances.
    """
    import tensorflow as tf

    from amsl_tf.scoring.pipeline import BATCH, SCORE

    function = tf.function(partial(pipeline.compute, outputs=[SCORE + name for name in pipeline.scores]), autograph=False)
    graph = function.get_concrete_function(tf.TensorSpec((BATCH, *pipeline.shape), tf.float32)).graph
    options = {**tf.compat.v1.profiler.ProfileOptionBuilder.float_operation(), "output": "none"}
    return tf.compat.v1.profiler.profile(graph, options=options).total_float_ops / BATCH


def _run_upstream(job: Run, parts: Parts, work: Path) -> RunScores:
    from benchmarks.upstream import BATCH_MEANS, train_and_score

    scores = train_and_score(parts.train, parts.test, epochs=job.experiment.settings["epochs"], seed=job.seed)
    return RunScores(scores, parts.groups, {}, "float32", batch_scores=(BATCH_MEANS,))


def _run_control(job: Run, parts: Parts, work: Path) -> RunScores:
    from benchmarks import controls

    training_scores, score, seconds = controls.fit(job.experiment.control or job.experiment.name, parts.train, parts.groups)
    tested, rate = _time_scoring(score, parts.test)
    cost = {"seconds": seconds, "windows_per_second": rate}
    return RunScores({"distance": (training_scores, tested)}, parts.groups, cost)


def _run_baseline(job: Run, parts: Parts, work: Path) -> RunScores:
    from benchmarks.baselines.interface import NormalData, load

    activity, subject = (require_column(parts.normal, name)[parts.split.train] for name in ("activity", "subject"))
    fitted = load(job.experiment.name)(NormalData(parts.train, activity, subject, job.protocol, job.seed))
    tested, rate = _time_scoring(fitted.score, parts.test)
    cost = {"seconds": fitted.seconds, "windows_per_second": rate, "parameters": fitted.parameters, **fitted.selected}
    return RunScores({OWN: (fitted.training_scores, tested)}, fitted.groups, cost)


RUNNERS = {"detector": _run_detector, "upstream": _run_upstream, "control": _run_control, "baseline": _run_baseline}


T = TypeVar("T")


def _time_scoring(score: Callable[[np.ndarray], T], windows: np.ndarray) -> tuple[T, float]:
    """Scores all windows at once, after a warm-up; returns the scores and the windows scored per second."""
    score(windows[:WARM_UP])
    start = perf_counter()
    scores = score(windows)
    return scores, len(windows) / (perf_counter() - start)
