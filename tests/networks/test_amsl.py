"""The network of AMSL: size, shapes, ablations, precision, saving."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from amsl_tf.config import DetectorConfig
from amsl_tf.errors import AMSLError
from amsl_tf.networks import build_network
from amsl_tf.networks.amsl import AMSLConfig
from amsl_tf.networks.layers import SoftmaxMemory
from amsl_tf.networks.losses import losses_for, targets_for
from amsl_tf.views import PAPER_VIEWS, split_views

# counts of the original, whose gates have dense and batch-normalisation weights: 10 more for each view than 2R scalars
PUBLISHED = {7: 3_327_715, 6: 2_868_853, 5: 2_409_991, 4: 1_951_129, 3: 1_492_267}


@pytest.mark.parametrize(("count", "parameters"), PUBLISHED.items())
def test_parameters_are_the_papers(count, parameters):
    network = build_network(AMSLConfig(views=PAPER_VIEWS[:count]), (125, 45))
    assert network.count_params() == parameters - 10 * count


def test_preset_compact_has_every_part_and_fewer_parameters():
    config = DetectorConfig.from_settings(preset="compact").network
    network, paper = (build_network(settings, (125, 45)) for settings in (config, AMSLConfig()))
    assert network.count_params() == 102_125
    assert [(type(layer), layer.name) for layer in network.layers] == [(type(layer), layer.name) for layer in paper.layers]


def run(network, config, views):
    outputs = network(split_views(views, config.views), training=False)
    return {name: keras.ops.convert_to_numpy(value) for name, value in outputs.items()}


def views_for(config, shape, count=3):
    return np.random.default_rng(0).uniform(size=(count, len(config.views), *shape)).astype(np.float32)


@pytest.mark.parametrize("shape", [(125, 45), (16, 1), (17, 2), (128, 48), (30, 7)])
def test_any_window(shape):
    config = AMSLConfig(num_slots=5)
    outputs = run(build_network(config, shape), config, views_for(config, shape))
    assert {name: value.shape for name, value in outputs.items()} == {
        "reconstruction": (3, 7, *shape),
        "view_probabilities": (3, 7, 7),
        "memory_entropy": (3,),
        "latent": (3, 7, 64),
    }
    np.testing.assert_allclose(outputs["view_probabilities"].sum(-1), 1.0, rtol=1e-5)
    assert outputs["reconstruction"].min() >= 0
    assert outputs["reconstruction"].max() <= 1


@pytest.mark.parametrize("memory", ["none", "global", "local", "both"])
@pytest.mark.parametrize("self_supervision", [True, False])
@pytest.mark.parametrize("skip", [True, False])
def test_ablations(memory, self_supervision, skip):
    settings = {"memory": memory, "self_supervision": self_supervision, "skip": skip, "num_slots": 5}
    if memory == "none" and not skip:
        with pytest.raises(AMSLError, match="no input"):
            AMSLConfig(views=("raw", "negated"), **settings)
        return
    config = AMSLConfig(views=("raw", "negated"), **settings)
    network = build_network(config, (20, 3))
    outputs = run(network, config, views_for(config, (20, 3)))
    assert ("view_probabilities" in outputs) == self_supervision
    assert ("memory_entropy" in outputs) == (memory != "none")
    memories = [layer for layer in network.layers if isinstance(layer, SoftmaxMemory)]
    assert len(memories) == {"none": 0, "global": 1, "local": 2, "both": 3}[memory]
    gates = network.get_layer("fusion").count_params() if memory != "none" else 0
    assert gates == {"none": 0, "global": 2, "local": 2, "both": 4}[memory]
    decoder = network.get_layer("decoder_raw")
    assert decoder.input_shape[-1] == 64 * (skip + (memory != "none"))


def test_entropy_is_the_sum_over_reads_of_the_mean_over_positions():
    """With equal slots each read at each position has the entropy log K."""
    config = AMSLConfig(views=("raw", "noise", "negated"), num_slots=10)
    network = build_network(config, (20, 3))
    for layer in network.layers:
        if isinstance(layer, SoftmaxMemory):
            layer.slots.assign(np.ones(layer.slots.shape))
    np.testing.assert_allclose(run(network, config, views_for(config, (20, 3)))["memory_entropy"], 6 * np.log(10), rtol=1e-5)


def test_each_view_has_its_own_memory_and_decoder():
    """In the original the decoders of two views get the memory of another view; here each view has its own path."""
    config = AMSLConfig(num_slots=5)
    network, views = build_network(config, (20, 3)), views_for(config, (20, 3))
    before = run(network, config, views)["reconstruction"]
    for index, name in enumerate(PAPER_VIEWS):
        memory = network.get_layer(f"local_memory_{name}")
        slots = memory.get_weights()
        memory.set_weights([slots[0] + 1.0])
        changed = np.abs(run(network, config, views)["reconstruction"] - before).max(axis=(0, 2, 3)) > 1e-6
        memory.set_weights(slots)
        assert changed.tolist() == [other == index for other in range(7)]


def test_reconstruction_of_a_view_does_not_depend_on_other_views():
    config = AMSLConfig(num_slots=5)
    network, views = build_network(config, (20, 3)), views_for(config, (20, 3))
    before = run(network, config, views)["reconstruction"]
    views[:, 4] += 0.5
    changed = np.abs(run(network, config, views)["reconstruction"] - before).max(axis=(0, 2, 3)) > 1e-6
    assert changed.tolist() == [index == 4 for index in range(7)]


def test_weights_depend_on_the_seed_only():
    config = AMSLConfig(num_slots=5)
    one, same, other = (build_network(config, (20, 3), seed=seed).get_weights() for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(one, same, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_keeps_weights_and_outputs_in_float32(policy):
    config = AMSLConfig(num_slots=5)
    network, plain = (build_network(config, (20, 3), dtype=dtype) for dtype in (policy, "float32"))
    assert {weight.dtype for weight in network.weights} == {"float32"}
    views = views_for(config, (20, 3))
    mixed, full = run(network, config, views), run(plain, config, views)
    for name, value in mixed.items():
        assert value.dtype == np.float32
        np.testing.assert_allclose(value, full[name], atol=0.05 * np.abs(full[name]).max())


def test_save_and_load_without_custom_objects(tmp_path):
    config = AMSLConfig(num_slots=5)
    network, views = build_network(config, (20, 3)), views_for(config, (20, 3))
    network.save(tmp_path / "network.keras")
    loaded = keras.saving.load_model(tmp_path / "network.keras", safe_mode=True)
    for name, value in run(loaded, config, views).items():
        np.testing.assert_allclose(value, run(network, config, views)[name], rtol=1e-5)


@pytest.mark.slow
def test_gradients_in_bfloat16_are_close_to_float32():
    """Gradients of all variables in a graph, as in training, of windows so large that sums in bfloat16 would lose precision."""
    config = AMSLConfig(views=("raw", "scaled"))
    views = views_for(config, (125, 45), count=16)
    losses, weights = losses_for(config)
    targets = targets_for(config, tf.constant(views))
    gradients = []
    for dtype in ("mixed_bfloat16", "float32"):
        network = build_network(config, (125, 45), dtype=dtype, seed=0)

        @tf.function
        def gradient(network=network):
            with tf.GradientTape() as tape:
                outputs = network(split_views(views, config.views), training=False)
                loss = sum(weights[name] * tf.reduce_mean(loss(targets[name], outputs[name])) for name, loss in losses.items())
            return tape.gradient(loss, [weight.value for weight in network.trainable_weights])

        gradients.append([np.ravel(value) for value in gradient()])
    for weight, found, expected in zip(network.trainable_weights, *gradients, strict=True):
        assert np.linalg.norm(found - expected) < 0.1 * np.linalg.norm(expected), weight.path
