"""Runs the study: trains the networks, and compares ensembles with and without them."""

import sys
from collections.abc import Mapping
from itertools import zip_longest
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import tensorflow as tf

from amsl_tf.data.files import locked, read_json, write_json
from amsl_tf.data.windows import chunks
from amsl_tf.errors import AMSLError
from amsl_tf.runtime import release_kernels, tensorflow_runtime
from amsl_tf.scoring.ensemble.channels import ChannelScaling
from benchmarks.objectives import amsl, augmented, encoder, masked, mutual, page, triplet, units
from benchmarks.objectives.fusion import Values, added_values, base_values, fuse, kernel_flops, more_kernels
from benchmarks.objectives.interface import Fit, TrainingSet
from benchmarks.objectives.units import LabelledTest, Training
from benchmarks.series import read_experiments

OBJECTIVES: dict[str, Fit] = {
    "amsl": amsl.fit,
    "triplet": triplet.fit,
    "mutual": mutual.fit,
    "masked": masked.fit,
    "augmented": augmented.fit,
}


def run(
    source: Path,
    data: Path,
    results: Path,
    *,
    only: list[str] | None,
    datasets: list[str] | None,
    seeds: int,
    tables: Path,
) -> None:
    """Runs the objectives without a result, and writes the tables after each unit.

    Args:
        source: The output folder of `amsl preprocess`.
        data: The folder with a folder for each data set of series.
        results: The folder of the JSON files.
        only: The names of objectives; None runs all.
        datasets: The names of data sets; None runs all.
        seeds: The number of seeds, from 0; all units with the first one come first.
        tables: The folder of the page.

    Raises:
        AMSLError: A data set is missing or broken, a name is unknown, a stored result has other settings, or the folder of the
            results is in use.
    """
    page.check(tables)  # before hours of computing
    titles = units.titles()
    chosen = _choose("objective", OBJECTIVES, only)
    with locked(results):
        trainings = _open(source, data, _choose("data set", titles, datasets))
        for seed in range(seeds):
            for training in trainings:
                missing = {name: tests for name in chosen if (tests := _missing(results, training, name, seed))}
                if missing:
                    print(f"{training.tests[0].dataset}, {training.tests[0].name}: seed {seed}", file=sys.stderr, flush=True)
                    run_training(training, seed, missing)
                    page.write(results, tables, titles, [*OBJECTIVES])
        page.write(results, tables, titles, [*OBJECTIVES])
    print(f"results: {results}\ntables:  {tables / page.PAGE}")


def _choose(kind: str, known: Mapping[str, Any], names: list[str] | None) -> list[str]:
    unknown = [name for name in names or () if name not in known]
    if unknown:
        raise AMSLError(f"unknown {kind} {unknown[0]!r}; expected one of {', '.join(known)}.")
    return [*(names or known)]


def _open(source: Path, data: Path, datasets: list[str]) -> list[Training]:
    """Reads the units, the first ones of all data sets first."""
    opened = [[*units.open_series(item, data)] for item in read_experiments()[0] if item.name in datasets]
    opened += [[*units.open_dsads(source)]] if units.DSADS in datasets else []
    return [training for turn in zip_longest(*opened) for training in turn if training is not None]


def _missing(results: Path, training: Training, objective: str, seed: int) -> dict[Path, LabelledTest]:
    """Returns the tests without a result by their file. Raises AMSLError if a result has other settings."""
    missing = {}
    for test in training.tests:
        file = results / f"{test.dataset}.{test.name.replace('/', '-')}.{objective}.{seed}.json"
        if not file.exists():
            missing[file] = test
            continue
        advice = f"Remove {file} and run it again."
        found, expected = read_json(file, advice, ("settings",))["settings"], settings()
        if found != expected:
            raise AMSLError(f"{file}: expected a result with the settings {expected}. Received: {found}. {advice}")
    return missing


def settings() -> dict[str, Any]:
    """Returns the settings that are stored with a result."""
    return {"windows": units.WINDOWS, "steps": encoder.STEPS, "batch": encoder.BATCH, "filters": encoder.FILTERS}


@tensorflow_runtime()
def run_training(training: Training, seed: int, missing: Mapping[str, Mapping[Path, LabelledTest]]) -> None:
    """Trains networks on the windows of a unit, and writes a result for each of its tests.

    Args:
        training: The windows and the tests.
        seed: The seed.
        missing: The tests without a result by their file, by objective.
    """
    release_kernels()
    split = units.hold_out(training, seed)
    channels = ChannelScaling.fit(training.x, training.axes)
    scaled = np.concatenate([channels(tf.constant(part)).numpy() for _, part in chunks(training.x)])
    data = TrainingSet(scaled[split.train], training.groups[split.train], training.rows[split.train])
    base, controls = base_values(training, seed), {}

    def scores(added: Values | None) -> list[np.ndarray]:
        return fuse(base, added, split.held_out, training.subjects is not None)

    for objective, tests in missing.items():
        start = process_time()
        networks = OBJECTIVES[objective](data, seed)
        seconds = process_time() - start
        flops = kernel_flops(*scaled.shape[1:])
        parts = max(1, round(networks.flops / flops))
        for name, describe in {
            networks.architecture: networks.untrained,
            f"kernels {parts}": more_kernels(scaled, parts, seed),
        }.items():
            if name not in controls:
                controls[name] = added_values(training, describe, seed)
        trained, untrained = added_values(training, networks.trained, seed), controls[networks.architecture]
        ensembles = {
            "ensemble": scores(None),
            "trained": scores(trained),
            "untrained": scores(untrained),
            "kernels": scores(controls[f"kernels {parts}"]),
            "trained_alone": trained.tests,
            "untrained_alone": untrained.tests,
        }
        for file, test in tests.items():
            place = training.tests.index(test)
            result = {
                "dataset": test.dataset,
                "unit": test.name,
                "objective": objective,
                "seed": seed,
                "settings": settings(),
                "train_windows": len(split.train),
                "held_out_windows": len(split.held_out),
                "seconds": seconds,
                "flops": {"network": networks.flops, "kernels": parts * flops},
                "scores": {name: test.evaluate(values[place]) for name, values in ensembles.items()},
            }
            write_json(file, result)
        print(f"  {objective}: {seconds:.0f} s", file=sys.stderr, flush=True)
