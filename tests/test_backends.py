"""The network and its losses compute the same on JAX as on TensorFlow."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import run_python

STEPS = 5


def train_a_little(weights: Path, result: Path) -> None:
    """Trains a small network from given weights, on the backend that Keras is set to, and writes what comes out."""
    import keras

    from amsl_tf.losses import losses_for, targets_for
    from amsl_tf.model_config import AMSLConfig
    from amsl_tf.models import build_network
    from amsl_tf.views import split_views

    keras.utils.set_random_seed(0)
    config = AMSLConfig(views=("raw", "noise", "permuted"), num_slots=10)
    network = build_network(config, (20, 3))
    if weights.exists():
        network.load_weights(weights)
    else:
        network.save_weights(weights)
    # the backends draw different dropout from the same seed
    classifier = network.get_layer("view_classifier")
    next(layer for layer in classifier.layers if isinstance(layer, keras.layers.Dropout)).rate = 0.0
    views = np.random.default_rng(0).uniform(size=(8, 3, 20, 3)).astype(np.float32)
    inputs = split_views(views, config.views)
    targets = targets_for(config, views)
    first = {name: np.asarray(value).tolist() for name, value in network.predict(inputs, verbose=0).items()}
    losses, loss_weights = losses_for(config)
    trained = keras.Model(network.input, {name: network.output[name] for name in losses})
    trained.compile(keras.optimizers.Adam(1e-3), loss=losses, loss_weights=loss_weights)
    curve = [float(trained.train_on_batch(inputs, targets)[0]) for _ in range(STEPS)]
    result.write_text(json.dumps({"backend": keras.backend.backend(), "outputs": first, "losses": curve}))


def test_jax_computes_what_tensorflow_does(tmp_path):
    made = {}
    for backend in ("tensorflow", "jax"):
        result = tmp_path / f"{backend}.json"
        finished = run_python(__file__, tmp_path / "network.weights.h5", result, KERAS_BACKEND=backend)
        assert finished.returncode == 0, finished.stderr
        made[backend] = json.loads(result.read_text())
        assert made[backend]["backend"] == backend
    for name, value in made["tensorflow"]["outputs"].items():
        np.testing.assert_allclose(made["jax"]["outputs"][name], value, rtol=1e-4, atol=1e-5)
    assert made["jax"]["losses"] == pytest.approx(made["tensorflow"]["losses"], rel=1e-4)
    assert made["jax"]["losses"][-1] < made["jax"]["losses"][0]


if __name__ == "__main__":
    train_a_little(Path(sys.argv[1]), Path(sys.argv[2]))
