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

BATCH = 16
COMPARED = 50  # of the last steps the mean is compared: single steps differ by rounding alone
LIMITS: dict[ScoringPrecision, float] = {"float32": 0.02, "bfloat16": 0.05}


def run(source: Path, steps: int, output: Path) -> None:
    """Trains the reference and the product in both precisions, prints the comparison, writes the curves.

    Dropout is off in all of them, because its random numbers differ between the graphs.

    Args:
        source: The folder that transformation wrote.
        steps: Batches of 16, in the order of the files.
        output: File for the report.

    Raises:
        DataError: `source` holds no views.
        AMSLError: A loss differs by more than `LIMITS`; the report is written all the same.
    """
    views = open_views(source, TRAIN, VIEW_NAMES, "Run scripts/transformation.py first, or name its folder with --input.")
    count = min(steps * BATCH, len(views["raw"]))
    stacked = np.stack([view[:count] for view in views.values()], axis=1)
    scaling = MinMaxScaling()
    scaling.adapt([stacked])
    batches = [keras.ops.convert_to_numpy(scaling(batch)) for batch in np.split(stacked, range(BATCH, count, BATCH))]
    initial = build_network(AMSLConfig(), stacked.shape[2:], seed=0)
    curves: dict[str, list[float]] = {"reference": _reference_losses(initial, batches)}
    for precision in LIMITS:
        curves[precision] = _product_losses(initial, batches, scoring_policy(precision))
    means = {name: float(np.mean(curve[-COMPARED:])) for name, curve in curves.items()}
    report: dict[str, Any] = {"steps": len(batches), "compared": COMPARED, "means": means, "differences": {}, "curves": curves}
    for precision, limit in LIMITS.items():
        difference = report["differences"][precision] = means[precision] / means["reference"] - 1
        print(f"{precision:9} mean loss of the last {COMPARED} of {len(batches)} steps: {means[precision]:.5f}, ", end="")
        print(f"reference {means['reference']:.5f}: {difference:+.2%} (limit {limit:.0%})")
    write_json(output, report)
    print(f"written to {output}")
    beyond = [precision for precision, limit in LIMITS.items() if not abs(report["differences"][precision]) <= limit]
    if beyond:
        raise AMSLError(f"the losses in {' and '.join(beyond)} differ from the reference's by more than the limit.")


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
