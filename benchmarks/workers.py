"""The variants that `benchmarks/speed.py` compares, each in a process of its own: `python -m benchmarks.workers NAME`.

A worker prints the tasks that it can do and the amount of each, as a line of JSON, then reads the name of a task on each line
of its input, does it once and prints the seconds that it took. It ends at once where PyTorch is needed and is not installed.
"""

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from amsl_tf.config import ScoringPrecision
from amsl_tf.views import VIEW_NAMES

BATCH = 16  # as benchmarks/upstream.py has it, which imports Keras: PyTorch's process must not
WINDOWS = 2 * BATCH
SHAPE = (125, 45)
BANK = 4_000  # normal windows that scores compare with, about as many as train on DSADS
SIZES = {"CPU": 2048, "GPU": 8192}  # of the matrices that are multiplied: large enough to keep either busy
SEED = 0


class Task(NamedTuple):
    """What is timed: windows, or for a product of matrices floating-point operations, and a function that goes through them."""

    amount: float
    run: Callable[[], Any]


def make_ceiling() -> dict[str, Task]:
    """Products of two square matrices."""
    import tensorflow as tf

    size = SIZES["GPU" if tf.config.list_physical_devices("GPU") else "CPU"]

    def product(dtype: str) -> Callable[[], Any]:
        matrix = tf.cast(tf.random.stateless_normal((size, size), (SEED, 0)), dtype)
        multiply = tf.function(lambda: tf.reduce_max(tf.matmul(matrix, matrix)), autograph=False)
        return lambda: multiply().numpy()  # waits for a GPU

    return {f"ceiling {name}": Task(2.0 * size**3, product(name)) for name in ("float32", "bfloat16")}


def make_reference() -> dict[str, Task]:
    """The plain port as a first port would be: batches of numpy arrays, and the sum of errors after the network."""
    from benchmarks import upstream

    model = upstream.build_upstream(SHAPE, first_memories=False, slot_mean_entropy=False)
    views = dict(zip(VIEW_NAMES, random_views(), strict=True))

    def score(batch: dict[str, Any]) -> Any:
        made = model.predict_on_batch(batch)
        return upstream.scores({name: made[f"reconstruction_{name}"] for name in batch}, batch, batch_means=False)

    inputs, targets = in_batches(views), in_batches(upstream.targets(views))
    return {
        "training": Task(WINDOWS, lambda: [model.train_on_batch(*batch) for batch in zip(inputs, targets, strict=True)]),
        "scoring": Task(WINDOWS, lambda: [score(batch) for batch in inputs]),
    }


def make_product(precision: ScoringPrecision) -> dict[str, Task]:
    """The product's training step, from views that are made; and its scoring, from raw windows."""
    import numpy as np

    from amsl_tf.config import DetectorConfig
    from amsl_tf.losses import targets_for
    from amsl_tf.model_config import AMSLConfig
    from amsl_tf.models import build_network
    from amsl_tf.precision import scoring_policy
    from amsl_tf.training import compiled
    from amsl_tf.views import split_views

    policy = scoring_policy(precision)
    views = np.stack(random_views(), axis=1)
    trained = compiled(build_network(AMSLConfig(), SHAPE, dtype=policy), DetectorConfig(), policy)
    inputs = in_batches(split_views(views, VIEW_NAMES))
    targets = in_batches(targets_for(AMSLConfig(), views))
    score = make_score(precision)
    return {
        "training": Task(WINDOWS, lambda: [trained.train_on_batch(*batch) for batch in zip(inputs, targets, strict=True)]),
        "scoring": Task(WINDOWS, lambda: score(views[:, 0])),
    }


def make_streaming(count: int) -> dict[str, Task]:
    """Scoring of many windows, which take no memory themselves: they are all the same one."""
    import numpy as np

    windows = np.broadcast_to(random_views()[0][:1], (count, *SHAPE))
    score = make_score("float32")
    return {"scoring": Task(count, lambda: score(windows))}


def make_score(precision: ScoringPrecision) -> Callable[[Any], Any]:
    """What `AMSLDetector.decision_function` runs: windows (N, T, C) to their nearest-normal scores, batch by batch."""
    import numpy as np

    from amsl_tf.config import DetectorConfig
    from amsl_tf.data.dsads import AXES
    from amsl_tf.layers import MinMaxScaling
    from amsl_tf.model_config import AMSLConfig
    from amsl_tf.models import build_network
    from amsl_tf.precision import scoring_policy
    from amsl_tf.scoring import NearestNormal, Outputs
    from amsl_tf.scoring.path import SCORE, ScoringPath
    from amsl_tf.transforms import draw_for_scoring

    views = np.stack(random_views(), axis=1)
    scaling = MinMaxScaling()
    scaling.adapt([views])
    network = build_network(AMSLConfig(), SHAPE, dtype=scoring_policy(precision))
    path = ScoringPath(network, scaling, draw_for_scoring(SEED, SHAPE), DetectorConfig(axes=AXES), SHAPE)
    (seen,) = path.run(views[:1, 0], Outputs._fields)
    generator = np.random.default_rng(SEED)
    bank = {name: generator.uniform(size=(BANK, *values.shape[1:])).astype(np.float32) for name, values in seen.items()}
    path.scorers["nearest_normal"] = scorer = NearestNormal()
    scorer.fit(Outputs(**bank))
    wanted = f"{SCORE}nearest_normal"
    return lambda windows: np.concatenate([made[wanted] for made in path.run(windows, (wanted,))])


def make_torch(compile_it: bool) -> dict[str, Task]:
    """The same network in PyTorch."""
    from benchmarks import torch_port

    network, views = torch_port.build(compile_it), random_views()
    return {
        "training": Task(WINDOWS, lambda: torch_port.train(network, views, BATCH)),
        "scoring": Task(WINDOWS, lambda: torch_port.score(network, views, BATCH)),
    }


def random_views() -> list[Any]:
    """The views of random windows, scaled."""
    import numpy as np

    generator = np.random.default_rng(SEED)
    return [generator.uniform(size=(WINDOWS, *SHAPE)).astype(np.float32) for _ in VIEW_NAMES]


def in_batches(arrays: dict[str, Any]) -> list[dict[str, Any]]:
    """Batches of arrays by name, to give one by one: a short `fit` or `predict` waits for tf.data's threads at its end."""
    return [{name: array[start : start + BATCH] for name, array in arrays.items()} for start in range(0, WINDOWS, BATCH)]


CEILING, REFERENCE = "ceiling", "reference float32"
VARIANTS: dict[str, Callable[[], dict[str, Task]]] = {
    CEILING: make_ceiling,
    REFERENCE: make_reference,
    "amsl_tf float32": lambda: make_product("float32"),
    "amsl_tf bfloat16": lambda: make_product("bfloat16"),
    "torch float32": lambda: make_torch(compile_it=False),
    "torch float32 compiled": lambda: make_torch(compile_it=True),
}


def main(name: str) -> None:
    """Answers on stdout until stdin ends.

    Args:
        name: Of a variant; or how many windows to stream.
    """
    answers = os.fdopen(os.dup(1), "w")  # what libraries print must not mix with the answers
    os.dup2(2, 1)
    try:
        tasks = VARIANTS[name]() if name in VARIANTS else make_streaming(int(name))
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        return

    def answer(value: Any) -> None:
        print(json.dumps(value), file=answers, flush=True)

    answer({task: amount for task, (amount, _) in tasks.items()})
    for line in sys.stdin:
        if line.strip() == "memory":
            answer(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6)
        else:
            start = time.perf_counter()
            tasks[line.strip()].run()
            answer(time.perf_counter() - start)


if __name__ == "__main__":
    main(sys.argv[1])
