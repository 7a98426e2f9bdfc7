"""The losses benchmark: compares the training losses of amsl_tf and of the plain port, from the same weights and batches."""

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
from amsl_tf.data.store import TRAIN
from amsl_tf.errors import AMSLError
from amsl_tf.networks import build_network
from amsl_tf.networks.amsl import AMSLConfig
from amsl_tf.networks.layers import MinMaxScaling
from amsl_tf.networks.losses import targets_for
from amsl_tf.training.fingerprint import hash_windows
from amsl_tf.training.loop import compile_network
from amsl_tf.views import PAPER_VIEWS, split_views
from amsl_tf.views.files import open_views
from benchmarks import upstream
from benchmarks.pages import Section
from benchmarks.rows import markdown_table

PAGE = "NOTES.md"
SECTION = Section("losses", "losses")
COMPARED = 50  # last steps, of which the mean loss is compared: single steps differ by rounding alone
ROW_STEPS = 25  # steps of a row of the printed table
COLUMNS = {"difference": "+.2g", "standard_error": ".2g", "limit": ".2g", "equal_steps": ""}
EQUAL = 1e-6  # relative difference up to which the losses of a step count as equal
LIMITS = {"float32": 0.02, "bfloat16": 0.05, "float64": 1e-6}  # of differences, relative to the mean of the reference
REFERENCES = {"float32": "reference", "bfloat16": "reference", "float64": "reference_float64"}

Curves = dict[str, list[list[float]]]  # the losses (rounds, steps) of each variant


def run(source: Path, steps: int, rounds: int, output: Path, tables: Path, from_file: bool = False) -> None:
    """Trains the reference and amsl_tf in each precision, writes the losses and the comparison, and prints the comparison.

    Dropout is off, because its random numbers differ between the graphs. Trainings that differ by rounding alone diverge, so
    each is repeated with other initial weights and means over these rounds are compared. In float64, which takes longer and
    rounds less, only the first round is trained. An interrupted run resumes: finished trainings are kept beside `output`.

    Args:
        source: The output folder of `amsl transform`.
        steps: The number of batches of 16 windows, in the order of the files.
        rounds: The number of trainings of each variant.
        output: The JSON file of the report.
        tables: The folder of NOTES.md.
        from_file: Reads the losses from `output` instead of training.

    Raises:
        DataError: `source` holds no views.
        AMSLError: NOTES.md lacks the marker lines; or, after everything is written, a difference exceeds its limit.
    """
    SECTION.split(tables / PAGE)  # before anything is trained
    kept = None
    if from_file:
        curves: Curves = read_json(output, "Run the benchmark without --from-file.", ("curves",))["curves"]
    else:
        curves, kept = _train(source, steps, rounds, output)
    report = compare(curves)
    write_json(output, report)
    if kept is not None:
        kept.unlink(missing_ok=True)
    page = write(report, tables)
    print(f"{_tables(report)}\nreport: {output}\ntables: {page}")
    beyond = [precision for precision in LIMITS if report["comparison"][precision]["verdict"] == "beyond"]
    if beyond:
        raise AMSLError(f"the losses in {' and '.join(beyond)} differ from those of the reference by more than the limit.")


def _train(source: Path, steps: int, rounds: int, output: Path) -> tuple[Curves, Path]:
    """Trains all variants; returns the losses and the file that keeps the finished trainings."""
    views = open_views(source, TRAIN, PAPER_VIEWS, "Run `amsl transform` first, or pass its output folder with --input.")
    count = min(steps * upstream.BATCH, len(views["raw"]))
    stacked = np.stack([view[:count] for view in views.values()], axis=1)
    scaling = MinMaxScaling()
    scaling.adapt([stacked])
    scaled = keras.ops.convert_to_numpy(scaling(stacked))
    kept = output.with_name(f".{output.stem}.{hash_windows(stacked)[:16]}.json")  # valid for these windows only
    curves: Curves = {variant: [] for variant in _TRAININGS}
    if kept.exists():
        curves = read_json(kept, f"Remove {kept} to train everything again.", _TRAININGS)
        print(f"resuming with {sum(map(len, curves.values()))} trainings of {kept}", file=sys.stderr)
    for number in range(rounds):
        initial = build_network(AMSLConfig(), scaled.shape[2:], seed=number)
        for variant, (floatx, train) in _TRAININGS.items():
            if len(curves[variant]) > number or (number and floatx == "float64"):
                continue
            print(f"{_title(variant)}, round {number + 1} of {rounds}", file=sys.stderr, flush=True)
            with _floatx(floatx):
                curves[variant].append(train(initial, scaled))
            write_json(kept, curves)
    return curves, kept


def compare(curves: Curves) -> dict[str, Any]:
    """Compares the mean losses of the last steps with those of the reference.

    The difference of the means over rounds, relative to the reference, is `within` or `beyond` its limit if it is so by two
    standard errors, estimated from the differences of single rounds; otherwise it is `inconclusive`. The difference of a single
    round counts as exact. `equal_steps` is the number of steps before the first one whose losses differ, in any round, by more
    than `EQUAL`.

    Returns:
        The means, the comparison by precision, and the losses.
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
        size = abs(difference)
        within, beyond = size + 2 * error <= limit, not size - 2 * error <= limit  # NaN is beyond
        different = ~np.isclose(curves[precision], curves[name], rtol=EQUAL, atol=0).all(axis=0)
        comparison[precision] = {
            "difference": difference,
            "standard_error": error if repeated else None,
            "limit": limit,
            "verdict": "within" if within else "beyond" if beyond else "inconclusive",
            "equal_steps": int(np.argmax(different)) if different.any() else steps,
        }
    listed = {name: values.tolist() for name, values in means.items()}
    return {"steps": steps, "compared": compared, "means": listed, "comparison": comparison, "curves": curves}


def write(report: dict[str, Any], folder: Path) -> Path:
    """Writes the tables of a report into the page, which it returns."""
    SECTION.replace(folder / PAGE, _tables(report))
    return folder / PAGE


def _tables(report: dict[str, Any]) -> str:
    """Formats two tables: the mean losses of every few steps, and the comparison."""
    curves = {name: np.mean(rounds, axis=0) for name, rounds in report["curves"].items()}
    losses = []
    for start in range(0, report["steps"], ROW_STEPS):
        means = (curve[start : start + ROW_STEPS].mean() for curve in curves.values())
        losses.append([f"{start + 1}-{min(start + ROW_STEPS, report['steps'])}", *(f"{mean:.4f}" for mean in means)])
    compared = []
    for name, rounds in report["means"].items():
        cells = []
        if row := report["comparison"].get(name):
            cells = [row["verdict"], *("" if row[key] is None else f"{row[key]:{form}}" for key, form in COLUMNS.items())]
        compared.append([_title(name), ", ".join(f"{mean:.4f}" for mean in rounds), *cells])
    columns = [f"last {report['compared']} steps", "mean loss by round", "verdict", *map(_title, COLUMNS)]
    first = markdown_table(["steps", *map(_title, curves)], losses)
    return f"{first}\n{markdown_table(columns, compared, text=('mean loss by round', 'verdict'))}"


def _title(key: str) -> str:
    return key.replace("_", " ")


@contextmanager
def _floatx(dtype: str) -> Iterator[None]:
    """Sets the default precision of Keras: of inputs, layers of the reference, losses and optimizers."""
    before = keras.config.floatx(), keras.config.dtype_policy(), keras.config.epsilon()
    keras.config.set_floatx(dtype)
    keras.config.set_dtype_policy(dtype)
    if dtype == "float64":
        # The only difference between the objectives: Keras clips the probabilities of amsl_tf at epsilon, while for the
        # reference it computes the cross-entropy from the logits.
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
    _disable_dropout(model)
    inputs = split_views(views, PAPER_VIEWS)
    return _losses(model, inputs, upstream.targets(inputs))


def _package_losses(initial: keras.Model, views: np.ndarray, policy: str) -> list[float]:
    network = build_network(AMSLConfig(), views.shape[2:], dtype=policy)
    network.set_weights(initial.get_weights())
    _disable_dropout(network.get_layer("view_classifier"))
    model = compile_network(network, DetectorConfig(), policy)
    return _losses(model, split_views(views, PAPER_VIEWS), targets_for(AMSLConfig(), views))


def _disable_dropout(model: keras.Model) -> None:
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0


def _losses(model: keras.Model, inputs: dict[str, np.ndarray], targets: dict[str, np.ndarray]) -> list[float]:
    """Trains for one pass and returns the loss of every batch.

    The size of the batches is unknown to TensorFlow, as in the training of a detector (see `training_batches`).
    """
    batches = tf.data.Dataset.from_tensor_slices((inputs, targets)).batch(upstream.BATCH)
    history = model.fit(batches, steps_per_epoch=1, epochs=len(batches), shuffle=False, verbose=0)
    return history.history["loss"]


# by variant: Keras' floatx, and the training
_TRAININGS: dict[str, tuple[str, Callable[[keras.Model, np.ndarray], list[float]]]] = {
    "reference": ("float32", _reference_losses),
    "float32": ("float32", partial(_package_losses, policy="float32")),
    "bfloat16": ("float32", partial(_package_losses, policy="mixed_bfloat16")),
    "reference_float64": ("float64", _reference_losses),
    "float64": ("float64", partial(_package_losses, policy="float64")),
}
