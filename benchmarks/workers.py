"""The variants of the speed benchmark, each run in a process of its own: `python -m benchmarks.workers NAME`.

A worker prints a line of JSON with the amount of work of each task. For each task named on a line of stdin it then runs the
task once and prints the seconds, or the result of a task without an amount. It ends at once if the variant needs PyTorch and
PyTorch is not installed.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from amsl_tf.config import ScoringPrecision
from amsl_tf.views import PAPER_VIEWS
from benchmarks.memory import peak_memory

BATCH = 16  # that of benchmarks/upstream.py, which imports Keras; the PyTorch process must not
WINDOWS = 2 * BATCH
SHAPE = (125, 45)
BANK = 4_000  # bank windows of the nearest-normal score, about the number of training windows of DSADS
SIZES = {"CPU": 2048, "GPU": 8192}  # rows of the multiplied matrices, large enough to saturate the device
SEED = 0


class Task(NamedTuple):
    """A measured task.

    Attributes:
        amount: The number of windows, or for matrix multiplications of floating-point operations; None for a task whose result
            is wanted, and not its time.
        run: Runs the task once.
    """

    amount: float | None
    run: Callable[[], Any]


def make_ceiling() -> dict[str, Task]:
    """Makes the tasks of multiplying two square matrices (GEMM)."""
    import tensorflow as tf

    size = SIZES["GPU" if tf.config.list_physical_devices("GPU") else "CPU"]

    def multiplication(dtype: str) -> Callable[[], Any]:
        matrix = tf.cast(tf.random.stateless_normal((size, size), (SEED, 0)), dtype)
        multiply = tf.function(lambda: tf.reduce_max(tf.matmul(matrix, matrix)), autograph=False)
        return lambda: multiply().numpy()  # synchronises with a GPU

    return {f"ceiling {name}": Task(2.0 * size**3, multiplication(name)) for name in ("float32", "bfloat16")}


def make_reference() -> dict[str, Task]:
    """Makes the tasks of the plain port, which gets batches of NumPy arrays and sums errors after the network."""
    from benchmarks import upstream

    model = upstream.build_upstream(SHAPE, first_memories=False, slot_mean_entropy=False)
    views = dict(zip(PAPER_VIEWS, random_views(), strict=True))

    def score(batch: dict[str, Any]) -> Any:
        outputs = model.predict_on_batch(batch)
        return upstream.scores({name: outputs[f"reconstruction_{name}"] for name in batch}, batch, batch_means=False)

    inputs, targets = in_batches(views), in_batches(upstream.targets(views))
    return {
        "training": Task(WINDOWS, lambda: [model.train_on_batch(*batch) for batch in zip(inputs, targets, strict=True)]),
        "scoring": Task(WINDOWS, lambda: [score(batch) for batch in inputs]),
    }


def make_package(precision: ScoringPrecision) -> dict[str, Task]:
    """Makes the tasks of amsl_tf: training steps from materialised views, and scoring of raw windows."""
    import numpy as np

    from amsl_tf.config import DetectorConfig
    from amsl_tf.networks import build_network
    from amsl_tf.networks.amsl import AMSLConfig
    from amsl_tf.networks.losses import targets_for
    from amsl_tf.scoring.pipeline import scoring_policy
    from amsl_tf.training.loop import compile_network
    from amsl_tf.views import split_views

    policy = scoring_policy(precision)
    views = np.stack(random_views(), axis=1)
    trained = compile_network(build_network(AMSLConfig(), SHAPE, dtype=policy), DetectorConfig(), policy)
    inputs = in_batches(split_views(views, PAPER_VIEWS))
    targets = in_batches(targets_for(AMSLConfig(), views))
    score = make_score(precision)
    return {
        "training": Task(WINDOWS, lambda: [trained.train_on_batch(*batch) for batch in zip(inputs, targets, strict=True)]),
        "scoring": Task(WINDOWS, lambda: score(views[:, 0])),
    }


def make_streaming(count: int) -> dict[str, Task]:
    """Makes the task of scoring `count` windows, all views of the same memory."""
    import numpy as np

    windows = np.broadcast_to(random_views()[0][:1], (count, *SHAPE))
    score = make_score("float32")
    return {"scoring": Task(count, lambda: score(windows))}


def make_score(precision: ScoringPrecision) -> Callable[[Any], Any]:
    """Returns what `AMSLDetector.decision_function` runs: windows (N, T, C) to nearest-normal scores (N,), in batches."""
    import numpy as np

    from amsl_tf.config import DetectorConfig
    from amsl_tf.datasets.dsads import AXES
    from amsl_tf.networks import build_network
    from amsl_tf.networks.amsl import AMSLConfig
    from amsl_tf.networks.layers import MinMaxScaling
    from amsl_tf.scoring.members.base import Evidence
    from amsl_tf.scoring.members.nearest_normal import NearestNormal
    from amsl_tf.scoring.pipeline import FEATURE, SCORE, ScoringPipeline, scoring_policy
    from amsl_tf.views.operations import draw_for_scoring

    views = np.stack(random_views(), axis=1)
    scaling = MinMaxScaling()
    scaling.adapt([views])
    network = build_network(AMSLConfig(), SHAPE, dtype=scoring_policy(precision))
    config = DetectorConfig(axes=AXES)
    draws = draw_for_scoring(SEED, SHAPE, config.views)
    pipeline = ScoringPipeline(network, scaling, draws, config, SHAPE)
    names = tuple(FEATURE + name for name in NearestNormal.features)
    (example,) = pipeline.run(views[:1, 0], names)
    generator = np.random.default_rng(SEED)
    bank = {name.removeprefix(FEATURE): generator.uniform(size=(BANK, example[name].shape[1])) for name in names}
    score = pipeline.scores["nearest_normal"] = NearestNormal(config)
    score.fit(Evidence(None, bank))
    output = f"{SCORE}nearest_normal"
    return lambda windows: np.concatenate([batch[output] for batch in pipeline.run(windows, (output,))])


def make_torch(compiled: bool) -> dict[str, Task]:
    """Makes the tasks of the same network in PyTorch."""
    from benchmarks import torch_port

    network, views = torch_port.build(compiled), random_views()
    return {
        "training": Task(WINDOWS, lambda: torch_port.train(network, views, BATCH)),
        "scoring": Task(WINDOWS, lambda: torch_port.score(network, views, BATCH)),
    }


def random_views() -> list[Any]:
    """Draws the scaled views of random windows, float32 (N, T, C) each."""
    import numpy as np

    generator = np.random.default_rng(SEED)
    return [generator.uniform(size=(WINDOWS, *SHAPE)).astype(np.float32) for _ in PAPER_VIEWS]


def in_batches(arrays: dict[str, Any]) -> list[dict[str, Any]]:
    """Splits arrays by name into batches; a short `fit` or `predict` would wait for the threads of tf.data at its end."""
    return [{name: array[start : start + BATCH] for name, array in arrays.items()} for start in range(0, WINDOWS, BATCH)]


CEILING, REFERENCE = "ceiling", "reference float32"
VARIANTS: dict[str, Callable[[], dict[str, Task]]] = {
    CEILING: make_ceiling,
    REFERENCE: make_reference,
    "amsl_tf float32": lambda: make_package("float32"),
    "amsl_tf bfloat16": lambda: make_package("bfloat16"),
    "torch float32": lambda: make_torch(compiled=False),
    "torch float32 compiled": lambda: make_torch(compiled=True),
}


def main(name: str) -> None:
    """Serves the tasks of a variant by name, or of streaming a number of windows."""
    serve(VARIANTS[name] if name in VARIANTS else lambda: make_streaming(int(name)))


def serve(make: Callable[[], dict[str, Task]]) -> None:
    """Makes tasks, then runs them and answers on stdout until stdin ends."""
    answers = os.fdopen(os.dup(1), "w")  # separate from the output of libraries
    os.dup2(2, 1)
    try:
        tasks = make()
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        return

    def answer(value: Any) -> None:
        print(json.dumps(value), file=answers, flush=True)

    answer({task: amount for task, (amount, _) in tasks.items()})
    for line in sys.stdin:
        if line.strip() == "memory":
            answer(peak_memory() / 1e9)
        else:
            task, start = tasks[line.strip()], time.perf_counter()
            result = task.run()
            answer(result if task.amount is None else time.perf_counter() - start)


if __name__ == "__main__":
    main(sys.argv[1])
