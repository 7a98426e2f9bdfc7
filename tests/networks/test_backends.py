"""Networks and losses on JAX and PyTorch against TensorFlow."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from amsl_tf.networks import NETWORKS
from tests.conftest import run_python

STEPS = 5
# dropout and forgetting are 0, because backends draw different numbers for the same seed
SETTINGS = {
    "amsl": {"views": ["raw", "noise", "permuted"], "num_slots": 10},
    "memae": {"num_slots": 10},
    "rftm": {"hippocampus_forgetting": 0.0, "cortex_forgetting": 0.0, "cortex_slots": 20, "reintegration": "both"},
    "mnad": {},
    "cae": {},
}


def train_briefly(folder: Path) -> None:
    """Trains small networks from the same weights on the current Keras backend, and writes their outputs and losses."""
    import keras

    from amsl_tf.networks.layers import ForgettingMemory

    backend = keras.backend.backend()
    names = [name for name in SETTINGS if (backend, name) != ("torch", "mnad")]  # MNAD modifies its items in place
    result = {name: _train_one(name, folder / f"{name}.weights.h5") for name in names}
    layer, queries = ForgettingMemory(20, 0.5, 3, seed=1), np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)
    reads = [keras.ops.convert_to_numpy(layer(queries, training=True)).tolist() for _ in range(2)]
    result["forgetting_varies"] = reads[0] != reads[1]
    (folder / f"{backend}.json").write_text(json.dumps(result))


def _train_one(name: str, weights: Path) -> Any:
    import keras

    from amsl_tf.config import DetectorConfig
    from amsl_tf.networks import build_network
    from amsl_tf.networks.losses import losses_for, targets_for
    from amsl_tf.views import split_views

    config = DetectorConfig.from_settings(name, **SETTINGS[name]).network
    network = build_network(config, (20, 3))
    if weights.exists():
        network.load_weights(weights)
    else:
        network.save_weights(weights)
    for part in (layer for layer in network.layers if isinstance(layer, keras.Model)):
        for layer in part.layers:
            if isinstance(layer, keras.layers.Dropout):
                layer.rate = 0.0
    views = np.random.default_rng(0).uniform(size=(8, len(config.views), 20, 3)).astype(np.float32)
    inputs = split_views(views, config.views)
    targets = targets_for(config, views)
    outputs = {name: np.asarray(value).tolist() for name, value in network.predict(inputs, verbose=0).items()}
    losses, loss_weights = losses_for(config)
    trained = keras.Model(network.input, {name: network.output[name] for name in losses})
    trained.compile(keras.optimizers.Adam(1e-3), loss=losses, loss_weights=loss_weights)
    curve = [float(np.ravel(trained.train_on_batch(inputs, targets))[0]) for _ in range(STEPS)]
    return {"outputs": outputs, "losses": curve}


@pytest.mark.slow
@pytest.mark.parametrize("other", ["jax", "torch"])
def test_backends_agree_with_tensorflow(other, tmp_path):
    pytest.importorskip(other)
    results = {}
    for backend in ("tensorflow", other):
        finished = run_python(__file__, tmp_path, KERAS_BACKEND=backend)
        assert finished.returncode == 0, finished.stderr
        results[backend] = json.loads((tmp_path / f"{backend}.json").read_text())
    assert results[other].pop("forgetting_varies")
    assert set(NETWORKS) - set(results[other]) <= ({"mnad"} if other == "torch" else set())
    for name, found in results[other].items():
        expected = results["tensorflow"][name]
        for output, value in expected["outputs"].items():
            np.testing.assert_allclose(found["outputs"][output], value, rtol=1e-4, atol=1e-5, err_msg=f"{name} {output}")
        assert found["losses"] == pytest.approx(expected["losses"], rel=1e-4)
        assert found["losses"][-1] < found["losses"][0]


if __name__ == "__main__":
    train_briefly(Path(sys.argv[1]))
