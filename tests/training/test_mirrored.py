"""Training under MirroredStrategy, on two logical devices of the CPU, which a process must have before TensorFlow starts."""

import json
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from amsl_tf import AMSLDetector, DetectorConfig
from amsl_tf.errors import AMSLError
from amsl_tf.networks.layers.memory import unit
from tests.conftest import make_detector, run_python
from tests.training.test_distributed import make_windows, record, relative

SIZES = {"filters": 4, "latent_features": 4, "epochs": 1, "batch_size": 8}
# without dropout; rftm normalises the part of each replica by itself, so its gradients are others
SETTINGS = {"cae": {}, "memae": {"num_slots": 5}, "amsl": {"num_slots": 5, "views": ["raw"], "self_supervision": False}}
SETTINGS |= {"mnad": {"num_slots": 5}, "rftm": {"hippocampus_slots": 15, "cortex_slots": 15}}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """The results of a process with two devices, by name."""
    folder = tmp_path_factory.mktemp("mirrored")
    process = run_python(__file__, folder)
    assert process.returncode == 0, process.stderr
    return json.loads((folder / "results.json").read_text())


@pytest.mark.slow
@pytest.mark.parametrize("network", SETTINGS)
def test_networks_train_on_two_devices_as_on_one(results, network):
    """Two steps, with 8 and 5 windows: the losses of validation, and the gradients of the first step."""
    result = results[network]
    assert result["steps"] == 2
    assert np.isfinite(result["losses"]).all()
    if network != "rftm":
        assert result["gradient"] < 1e-5
        assert result["first_loss"] < 1e-5
    if network in ("cae", "memae", "amsl"):
        assert result["weights"] < 1e-3  # Adam divides by the size of the gradients, also by tiny ones


@pytest.mark.slow
def test_variables_are_equal_on_both_devices(results):
    """Those that layers update without gradients: the items of MNAD, the moving statistics of RFTM."""
    for network in SETTINGS:
        assert results[network]["drift"] == 0
    assert results["mnad"]["updated"] > 1e-3
    assert results["rftm"]["updated"] > 1e-3


@pytest.mark.slow
def test_items_of_mnad_are_the_normalised_mean(results):
    items = results["items"]
    np.testing.assert_allclose(items["found"], items["expected"], rtol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(items["found"], axis=1), 1, rtol=1e-4)
    assert min(items["lengths"]) < 0.99  # those of the mean before


@pytest.mark.slow
def test_dropout_and_forgetting_draw_the_same_on_both_devices(results):
    """And another draw in the next step."""
    (one, other), (next_one, _) = results["draws"]
    assert one == other
    assert one != next_one


@pytest.mark.slow
def test_detector_fitted_in_a_scope_is_saved(results):
    assert results["loaded"] < 1e-6


@pytest.mark.slow
def test_float16_on_two_devices_is_an_error(results):
    assert "several devices train in float32 or bfloat16. Received: float16" in results["float16"]


def test_other_strategies_are_an_error(waves):
    import tensorflow as tf

    with tf.distribute.experimental.CentralStorageStrategy().scope(), pytest.raises(AMSLError, match="CentralStorageStrategy"):
        make_detector(epochs=1).fit(waves)


@pytest.mark.slow
def test_one_device_strategy_trains_as_without(waves):
    import tensorflow as tf

    settings = {"views": ["raw"], "num_slots": 5, "mixed_precision": "off", **SIZES}
    with tf.distribute.OneDeviceStrategy("CPU:0").scope():
        found = make_detector(**settings).fit(waves)
    assert found.history_ == make_detector(**settings).fit(waves).history_


def compute(folder):
    """Computes the results."""
    import keras
    import tensorflow as tf

    from amsl_tf.networks.layers import PrototypeMemory

    device = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(device, [tf.config.LogicalDeviceConfiguration()] * 2)
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])  # one for all: its collective operations are numbered
    windows = make_windows()
    results = {}
    for network, settings in SETTINGS.items():
        config = DetectorConfig.from_settings(network, **SIZES, **settings)
        alone, trained = record(config, windows[:13], "float32", folder / f"{network}.1")
        with strategy.scope():
            found, mirrored = record(config, windows[:13], "float32", folder / f"{network}.2")
            initial = config.network.build(windows.shape[1:], dtype="float32", seed=0)
        parts = [strategy.experimental_local_results(item.value) for item in mirrored.variables]
        fixed = [item for item in mirrored.non_trainable_variables if "seed" not in item.path]
        before = {item.path: item.numpy() for item in initial.variables}
        gradients = [np.concatenate([part.ravel() for part in run.gradients]) for run in (found, alone)]
        results[network] = {
            "steps": len(found.losses),
            "losses": [*found.losses, *found.validation],
            "first_loss": abs(found.losses[0] / alone.losses[0] - 1),
            "gradient": float(relative(*gradients)),
            "weights": float(max(map(relative, mirrored.get_weights(), trained.get_weights()))),
            "drift": float(max(np.abs(one.numpy() - other.numpy()).max() for one, other in parts)),
            "updated": float(max((np.abs(item.numpy() - before[item.path]).max() for item in fixed), default=0)),
        }

    queries = np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)
    with strategy.scope():
        memory = PrototypeMemory(3, seed=1)
        memory.build((None, 4))
    halves = []
    for half in (queries[:4], queries[4:]):
        part = PrototypeMemory(3, seed=1)
        part(half, training=True)
        halves.append(part.slots.numpy())
    values = strategy.experimental_distribute_values_from_function(
        lambda context: tf.constant(np.split(queries, 2)[context.replica_id_in_sync_group])
    )
    tf.function(lambda: strategy.run(partial(memory, training=True), args=(values,)))()
    mean = np.mean(halves, axis=0)
    results["items"] = {
        "found": memory.slots.numpy().tolist(),
        "expected": unit(mean).numpy().tolist(),
        "lengths": np.linalg.norm(mean, axis=1).tolist(),
    }

    with strategy.scope():
        dropout = keras.layers.Dropout(0.5, seed=0)
    draw = tf.function(lambda: strategy.run(partial(dropout, tf.ones(20), training=True)))
    results["draws"] = [[part.numpy().tolist() for part in strategy.experimental_local_results(draw())] for _ in range(2)]

    settings = {"views": ["raw"], "num_slots": 5, "mixed_precision": "off", **SIZES}
    with strategy.scope():
        detector = make_detector(**settings).fit(windows)
        try:
            make_detector(**{**settings, "mixed_precision": "float16"}).fit(windows)
        except AMSLError as error:
            results["float16"] = str(error)
    detector.save(folder / "detector")
    loaded = AMSLDetector.load(folder / "detector")
    results["loaded"] = float(relative(loaded.decision_function(windows), detector.decision_function(windows)))
    (folder / "results.json").write_text(json.dumps(results))


if __name__ == "__main__":
    compute(Path(sys.argv[1]))
