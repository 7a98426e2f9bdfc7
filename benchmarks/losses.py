"""Whether the fast network learns what the plain port learns: the losses of both from the same weights on the same batches."""

from pathlib import Path
from typing import Any

import keras
import numpy as np

from amsl_tf.config import DetectorConfig, ScoringPrecision
from amsl_tf.data.files import write_json
from amsl_tf.data.store import TRAIN, open_views
from amsl_tf.errors import AMSLError
from amsl_tf.layers import MinMaxScaling
from amsl_tf.losses import targets_for
from amsl_tf.model_config import AMSLConfig
from amsl_tf.models import build_network
from amsl_tf.precision import scoring_policy
from amsl_tf.training import compiled
from amsl_tf.views import VIEW_NAMES, split_views
from benchmarks import upstream
from benchmarks.pages import parts_of, put_between

BATCH = 16
COMPARED = 50  # of the last steps the mean is compared: single steps differ by rounding alone
START, END = "<!-- losses: made by scripts/benchmark.py losses -->", "<!-- end of losses -->"
SHOWN = 25  # steps are one row of what is printed
LIMITS: dict[ScoringPrecision, float] = {"float32": 0.02, "bfloat16": 0.05}


def run(source: Path, steps: int, rounds: int, output: Path, tables: Path) -> None:
    """Trains the reference and the product in both precisions, prints the comparison, writes the curves.

    Dropout is off in all of them, because its random numbers differ between the graphs. The same training gives other losses
    each time, since threads add in another order; so each is repeated, and means are compared.

    Args:
        source: The folder that transformation wrote.
        steps: Batches of 16, in the order of the files.
        rounds: How often each variant is trained, in turn.
        output: File for the report.
        tables: The folder of NOTES.md, which gets the comparison.

    Raises:
        DataError: `source` holds no views.
        AMSLError: NOTES.md has no place for the comparison, or a loss differs by more than `LIMITS`; the report is written all
            the same.
    """
    page = tables / "NOTES.md"
    parts_of(page, START, END)  # what is wrong is told before it is measured
    views = open_views(source, TRAIN, VIEW_NAMES, "Run scripts/transformation.py first, or name its folder with --input.")
    count = min(steps * BATCH, len(views["raw"]))
    stacked = np.stack([view[:count] for view in views.values()], axis=1)
    scaling = MinMaxScaling()
    scaling.adapt([stacked])
    batches = [keras.ops.convert_to_numpy(scaling(batch)) for batch in np.split(stacked, range(BATCH, count, BATCH))]
    initial = build_network(AMSLConfig(), stacked.shape[2:], seed=0)
    curves: dict[str, list[list[float]]] = {"reference": [], **{precision: [] for precision in LIMITS}}
    for _ in range(rounds):
        curves["reference"].append(_reference_losses(initial, batches))
        for precision in LIMITS:
            curves[precision].append(_product_losses(initial, batches, scoring_policy(precision)))
    report = {"steps": len(batches), "compared": COMPARED, "limits": LIMITS, **_compared(curves), "curves": curves}
    write_json(output, report)
    put_between(page, START, END, _table(report))
    print(f"{_table(report)}\nwritten to {output} and {page}")
    beyond = [precision for precision, limit in LIMITS.items() if not abs(report["differences"][precision]) <= limit]
    if beyond:
        raise AMSLError(f"the losses in {' and '.join(beyond)} differ from the reference's by more than the limit.")


def _compared(curves: dict[str, list[list[float]]]) -> dict[str, Any]:
    """Of every variant the mean loss of the last steps in each round; of the product's the difference of their mean.

    The standard error of a difference follows from how the rounds scatter; None of a single one.
    """
    means = {name: np.mean(np.array(rounds)[:, -COMPARED:], axis=1) for name, rounds in curves.items()}
    reference = means["reference"]
    return {
        "means": {name: values.tolist() for name, values in means.items()},
        "differences": {name: float(means[name].mean() / reference.mean() - 1) for name in LIMITS},
        "standard_errors": {name: _standard_error(means[name], reference) for name in LIMITS},
    }


def _standard_error(means: np.ndarray, reference: np.ndarray) -> float | None:
    if len(means) == 1:
        return None
    return float(np.hypot(*(np.std(values, ddof=1) for values in (means, reference))) / np.sqrt(len(means)) / reference.mean())


def _table(report: dict[str, Any]) -> str:
    """Means over the rounds of every 25 steps, and what is compared."""
    curves = {name: np.mean(rounds, axis=0) for name, rounds in report["curves"].items()}
    lines = [f"| steps | {' | '.join(curves)} |", "|---" * (1 + len(curves)) + "|"]
    for start in range(0, report["steps"], SHOWN):
        end = min(start + SHOWN, report["steps"])
        means = [f"{curve[start:end].mean():.4f}" for curve in curves.values()]
        lines.append(f"| {start + 1}-{end} | {' | '.join(means)} |")
    lines += [
        "",
        f"| mean of the last {report['compared']} steps | round by round | from the reference | standard error | limit |",
        "|---" * 5 + "|",
    ]
    for name, means in report["means"].items():
        lines.append(f"| {name} | {', '.join(f'{mean:.4f}' for mean in means)} | {_compare(report, name)} |")
    return "\n".join(lines) + "\n"


def _compare(report: dict[str, Any], name: str) -> str:
    if name not in LIMITS:
        return " | | "
    error = report["standard_errors"][name]
    scatter = "" if error is None else f"{error:.1%}"
    return f"{report['differences'][name]:+.1%} | {scatter} | {LIMITS[name]:.0%}"


def _reference_losses(initial: keras.Model, batches: list[np.ndarray]) -> list[float]:
    model = upstream.build_upstream(batches[0].shape[2:], first_memories=False, slot_mean_entropy=False)
    upstream.set_weights(model, initial)
    _without_dropout(model)
    losses = []
    for batch in batches:
        inputs = split_views(batch, VIEW_NAMES)
        losses.append(_loss(model.train_on_batch(inputs, upstream.targets(inputs))))
        model.reset_metrics()
    return losses


def _product_losses(initial: keras.Model, batches: list[np.ndarray], policy: str) -> list[float]:
    network = build_network(AMSLConfig(), batches[0].shape[2:], dtype=policy)
    network.set_weights(initial.get_weights())
    _without_dropout(network.get_layer("view_classifier"))
    model = compiled(network, DetectorConfig(), policy)
    losses = []
    for batch in batches:
        losses.append(_loss(model.train_on_batch(split_views(batch, VIEW_NAMES), targets_for(AMSLConfig(), batch))))
        model.reset_metrics()
    return losses


def _without_dropout(model: keras.Model) -> None:
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0


def _loss(metrics: list[np.ndarray]) -> float:
    """The total, which Keras puts first."""
    return float(metrics[0])
