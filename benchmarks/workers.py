"""The variants that `benchmarks/speed.py` compares, each in a process of its own: `python -m benchmarks.workers NAME`.

A worker prints the tasks that it can do as a line of JSON, then reads the name of a task on each line of its input, does it
once and prints the seconds that it took. It ends at once where the library that it needs is not installed.
"""

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

from amsl_tf.config import ScoringPrecision

BATCH = 16
WINDOWS = 2 * BATCH
SIZE = 2048
TASKS = {
    "ceiling float32": 2.0 * SIZE**3,  # floating-point operations
    "ceiling bfloat16": 2.0 * SIZE**3,
    "training": WINDOWS,
    "scoring": WINDOWS,
}
SHAPE = (125, 45)
SEED = 0


def make_ceiling() -> dict[str, Callable[[], Any]]:
    """Products of two square matrices."""
    import tensorflow as tf

    def product(dtype: str) -> Callable[[], Any]:
        matrix = tf.cast(tf.random.stateless_normal((SIZE, SIZE), (SEED, 0)), dtype)
        return tf.function(lambda: tf.reduce_max(tf.matmul(matrix, matrix)), autograph=False)

    return {f"ceiling {name}": product(name) for name in ("float32", "bfloat16")}


def make_reference() -> dict[str, Callable[[], Any]]:
    """The plain port as a first port would be: batches of numpy arrays, and the sum of errors after the network."""
    from amsl_tf.views import VIEW_NAMES
    from benchmarks import upstream

    model = upstream.build_upstream(SHAPE, first_memories=False, slot_mean_entropy=False)
    views = dict(zip(VIEW_NAMES, make_views(), strict=True))

    def score(batch: dict[str, Any]) -> Any:
        made = model.predict_on_batch(batch)
        return upstream.scores({name: made[f"reconstruction_{name}"] for name in batch}, batch, batch_means=False)

    inputs, targets = in_batches(views), in_batches(upstream.targets(views))
    return {
        "training": lambda: [model.train_on_batch(*batch) for batch in zip(inputs, targets, strict=True)],
        "scoring": lambda: [score(batch) for batch in inputs],
    }


def make_product(precision: ScoringPrecision) -> dict[str, Callable[[], Any]]:
    """The product's training step, from views that are made; and its scoring, from raw windows."""
    import numpy as np

    from amsl_tf.config import DetectorConfig
    from amsl_tf.data.dsads import AXES
    from amsl_tf.layers import MinMaxScaling
    from amsl_tf.losses import targets_for
    from amsl_tf.model_config import AMSLConfig
    from amsl_tf.models import build_network
    from amsl_tf.precision import scoring_policy
    from amsl_tf.scoring import Outputs
    from amsl_tf.scoring.path import ScoringPath
    from amsl_tf.training import compiled
    from amsl_tf.transforms import draw_for_scoring
    from amsl_tf.views import VIEW_NAMES, split_views

    policy, config = scoring_policy(precision), DetectorConfig(axes=AXES)
    views = np.stack(make_views(), axis=1)
    trained = compiled(build_network(AMSLConfig(), SHAPE, dtype=policy), config, policy)
    inputs = in_batches(split_views(views, VIEW_NAMES))
    targets = in_batches(targets_for(AMSLConfig(), views))
    scaling = MinMaxScaling()
    scaling.adapt([views])
    network = build_network(AMSLConfig(), SHAPE, dtype=policy)
    path = ScoringPath(network, scaling, draw_for_scoring(SEED, SHAPE), config, SHAPE)
    return {
        "training": lambda: [trained.train_on_batch(*batch) for batch in zip(inputs, targets, strict=True)],
        "scoring": lambda: list(path.run(views[:, 0], Outputs._fields)),
    }


def make_torch(compile_it: bool) -> dict[str, Callable[[], Any]]:
    """The same network in PyTorch."""
    from benchmarks import torch_port

    network, views = torch_port.build(compile_it), make_views()
    return {
        "training": lambda: torch_port.train(network, views, BATCH),
        "scoring": lambda: torch_port.score(network, views, BATCH),
    }


def make_views() -> list[Any]:
    """Seven views of random windows, scaled."""
    import numpy as np

    generator = np.random.default_rng(SEED)
    return [generator.uniform(size=(WINDOWS, *SHAPE)).astype(np.float32) for _ in range(7)]


def in_batches(arrays: dict[str, Any]) -> list[dict[str, Any]]:
    """Batches of arrays by name, to give one by one: a short `fit` or `predict` waits for tf.data's threads at its end."""
    return [{name: array[start : start + BATCH] for name, array in arrays.items()} for start in range(0, WINDOWS, BATCH)]


VARIANTS: dict[str, Callable[[], dict[str, Callable[[], Any]]]] = {
    "ceiling": make_ceiling,
    "reference float32": make_reference,
    "amsl_tf float32": lambda: make_product("float32"),
    "amsl_tf bfloat16": lambda: make_product("bfloat16"),
    "torch float32": lambda: make_torch(compile_it=False),
    "torch float32 compiled": lambda: make_torch(compile_it=True),
}


def main(name: str) -> None:
    """Answers on stdout until stdin ends."""
    answers = os.fdopen(os.dup(1), "w")  # what libraries print must not mix with the answers
    os.dup2(2, 1)
    try:
        tasks = VARIANTS[name]()
    except ImportError:
        return

    def answer(value: Any) -> None:
        print(json.dumps(value), file=answers, flush=True)

    answer(list(tasks))
    for line in sys.stdin:
        if line.strip() == "memory":
            answer(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6)
        else:
            start = time.perf_counter()
            tasks[line.strip()]()
            answer(time.perf_counter() - start)


if __name__ == "__main__":
    main(sys.argv[1])
