"""Whether the fast network learns what the plain port learns: the losses of both from the same weights on the same batches."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from amsl_tf.config import DetectorConfig
from amsl_tf.data.files import read_json, write_json
from amsl_tf.data.store import TRAIN, open_views
from amsl_tf.errors import AMSLError
from amsl_tf.fingerprint import hash_windows
from amsl_tf.layers import MinMaxScaling
from amsl_tf.losses import targets_for
from amsl_tf.model_config import AMSLConfig
from amsl_tf.models import build_network
from amsl_tf.training import compiled
from amsl_tf.views import VIEW_NAMES, split_views
from benchmarks import upstream
from benchmarks.pages import parts_of, put_between
from benchmarks.rows import table

COMPARED = 50  # of the last steps the mean is compared: single steps differ by rounding alone
START, END = "<!-- losses: made by scripts/benchmark.py losses -->", "<!-- end of losses -->"
COLUMNS = {"difference": "+.2g", "standard_error": ".2g", "limit": ".2g", "steps_alike": ""}
ALIKE = 1e-6  # share of a loss, up to which the losses of a step are alike
SHOWN = 25  # steps are one row of what is printed
LIMITS = {"float32": 0.02, "bfloat16": 0.05, "float64": 1e-6}  # of differences, as shares of the reference's mean
REFERENCES = {"float32": "reference", "bfloat16": "reference", "float64": "reference_float64"}

Curves = dict[str, list[list[float]]]  # the losses (rounds, steps) of each variant


def run(source: Path, steps: int, rounds: int, output: Path, tables: Path) -> None:
    """Trains the reference and the product in each precision, writes the curves, and the comparison into NOTES.md.

    Dropout is off in all of them, because its random numbers differ between the graphs. Trainings that differ by rounding alone
    part; so each is repeated, round by round from other initial weights, and means are compared. In float64, which takes
    longer and rounds less, each is trained in the first round only. What an interrupted run has trained is kept beside
    `output`.

    Args:
        source: The folder that transformation wrote.
        steps: Batches of 16, in the order of the files.
        rounds: How often each variant is trained, in turn.
        output: File for the report.
        tables: The folder of NOTES.md.

    Raises:
        DataError: `source` holds no views.
        AMSLError: NOTES.md has no place for the comparison; or, when all is written, a loss is beyond its limit.
    """
    parts_of(tables / "NOTES.md", START, END)  # what is wrong is told before it is measured
    views = open_views(source, TRAIN, VIEW_NAMES, "Run scripts/transformation.py first, or name its folder with --input.")
    count = min(steps * upstream.BATCH, len(views["raw"]))
    stacked = np.stack([view[:count] for view in views.values()], axis=1)
    scaling = MinMaxScaling()
    scaling.adapt([stacked])
    scaled = keras.ops.convert_to_numpy(scaling(stacked))
    kept = output.with_name(f".{output.stem}.{hash_windows(stacked)[:16]}.json")  # for these windows only
    curves: Curves = {variant: [] for variant in _TRAININGS}
    if kept.exists():
        curves = read_json(kept, f"Remove {kept} to train all anew.", _TRAININGS)
        print(f"going on with {sum(map(len, curves.values()))} trainings in {kept}", file=sys.stderr)
    for number in range(rounds):
        initial = build_network(AMSLConfig(), scaled.shape[2:], seed=number)
        for variant, (floatx, losses) in _TRAININGS.items():
            if len(curves[variant]) > number or (number and floatx == "float64"):
                continue
            print(f"{_words(variant)}, round {number + 1} of {rounds}", file=sys.stderr, flush=True)
            with _floatx(floatx):
                curves[variant].append(losses(initial, scaled))
            write_json(kept, curves)
    report = compare(curves)
    write_json(output, report)
    kept.unlink(missing_ok=True)
    write(report, tables)
    print(f"{_tables(report)}\nwritten to {output} and {tables / 'NOTES.md'}")
    beyond = [precision for precision in LIMITS if report["comparison"][precision]["verdict"] == "beyond"]
    if beyond:
        raise AMSLError(f"the losses in {' and '.join(beyond)} differ from the reference's by more than the limit.")


def compare(curves: Curves) -> dict[str, Any]:
    """What is written of the losses: means of the last steps, and how far those of the product are from the reference's.

    A difference, of the means over rounds as a share of the reference's, is "within" or "beyond" its limit if it is so by two
    standard errors, which follow from how the differences of single rounds scatter; else it is "open". That of a single round
    counts as exact. Alike are the steps before the first one whose losses differ, in any round, by more than `ALIKE`.
    """
    steps = len(curves["reference"][0])
    compared = min(COMPARED, steps)
    means = {name: np.mean(np.array(rounds)[:, -compared:], axis=1) for name, rounds in curves.items()}
    comparison = {}
    for precision, limit in LIMITS.items():
        name = REFERENCES[precision]
        differences = (means[precision] - means[name]) / means[name].mean()
        difference, repeated = differences.mean(), len(differences) > 1
        error = np.std(differences, ddof=1) / np.sqrt(len(differences)) if repeated else 0.0
        distance = abs(difference)
        verdict = "within" if distance + 2 * error <= limit else "beyond" if not distance - 2 * error <= limit else "open"
        unlike = ~np.isclose(curves[precision], curves[name], rtol=ALIKE, atol=0).all(axis=0)
        comparison[precision] = {
            "difference": difference,
            "standard_error": error if repeated else None,
            "limit": limit,
            "verdict": verdict,
            "steps_alike": int(np.argmax(unlike)) if unlike.any() else steps,
        }
    listed = {name: values.tolist() for name, values in means.items()}
    return {"steps": steps, "compared": compared, "means": listed, "comparison": comparison, "curves": curves}


def write(report: dict[str, Any], folder: Path) -> None:
    """Writes the comparison into NOTES.md."""
    put_between(folder / "NOTES.md", START, END, _tables(report))


def _tables(report: dict[str, Any]) -> str:
    """Means over the rounds of every few steps, and what is compared."""
    curves = {name: np.mean(rounds, axis=0) for name, rounds in report["curves"].items()}
    learned = []
    for start in range(0, report["steps"], SHOWN):
        means = (curve[start : start + SHOWN].mean() for curve in curves.values())
        learned.append([f"{start + 1}-{min(start + SHOWN, report['steps'])}", *(f"{mean:.4f}" for mean in means)])
    compared = []
    for name, rounds in report["means"].items():
        cells = []
        if found := report["comparison"].get(name):
            cells = [found["verdict"], *("" if found[key] is None else f"{found[key]:{form}}" for key, form in COLUMNS.items())]
        compared.append([_words(name), ", ".join(f"{mean:.4f}" for mean in rounds), *cells])
    columns = [f"last {report['compared']} steps", "round by round", "verdict", *map(_words, COLUMNS)]
    return f"{table(['steps', *map(_words, curves)], learned)}\n{table(columns, compared)}"


def _words(key: str) -> str:
    return key.replace("_", " ")


@contextmanager
def _floatx(dtype: str) -> Iterator[None]:
    """Has Keras compute in a precision where nothing is said: in inputs, layers of the reference, losses and optimizers."""
    before = keras.config.floatx(), keras.config.dtype_policy(), keras.config.epsilon()
    keras.config.set_floatx(dtype)
    keras.config.set_dtype_policy(dtype)
    if dtype == "float64":
        # The one thing in which the objectives differ: Keras cuts the product's probabilities off at epsilon; for the reference
        # it goes back to the logits.
        keras.config.set_epsilon(np.finfo(dtype).tiny)
    try:
        yield
    finally:
        keras.config.set_floatx(before[0])
        keras.config.set_dtype_policy(before[1])
        keras.config.set_epsilon(before[2])


def _reference_losses(initial: keras.Model, views: np.ndarray) -> list[float]:
    model = upstream.build_upstream(views.shape[2:], first_memories=False, slot_mean_entropy=False)
    upstream.set_weights(model, initial)
    _without_dropout(model)
    inputs = split_views(views, VIEW_NAMES)
    return _losses(model, inputs, upstream.targets(inputs))


def _product_losses(initial: keras.Model, views: np.ndarray, policy: str) -> list[float]:
    network = build_network(AMSLConfig(), views.shape[2:], dtype=policy)
    network.set_weights(initial.get_weights())
    _without_dropout(network.get_layer("view_classifier"))
    model = compiled(network, DetectorConfig(), policy)
    return _losses(model, split_views(views, VIEW_NAMES), targets_for(AMSLConfig(), views))


def _without_dropout(model: keras.Model) -> None:
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0


def _losses(model: keras.Model, inputs: dict[str, np.ndarray], targets: dict[str, np.ndarray]) -> list[float]:
    """The loss of every batch, in a single pass.

    Of a dataset whose batches are of a size that TensorFlow does not know, as where a detector is fitted (see
    `training_batches`).
    """
    batches = tf.data.Dataset.from_tensor_slices((inputs, targets)).batch(upstream.BATCH)
    made = model.fit(batches, steps_per_epoch=1, epochs=len(batches), shuffle=False, verbose=0)
    return made.history["loss"]


_TRAININGS: dict[str, tuple[str, Callable[[keras.Model, np.ndarray], list[float]]]] = {
    "reference": ("float32", _reference_losses),
    "float32": ("float32", partial(_product_losses, policy="float32")),
    "bfloat16": ("float32", partial(_product_losses, policy="mixed_bfloat16")),
    "reference_float64": ("float64", _reference_losses),
    "float64": ("float64", partial(_product_losses, policy="float64")),
}
