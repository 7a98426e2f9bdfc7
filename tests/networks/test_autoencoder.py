"""The networks of one view: size, shapes, bottlenecks, precision, saving."""

import keras
import numpy as np
import pytest

from amsl_tf.config import DetectorConfig
from amsl_tf.networks import build_network
from amsl_tf.networks.layers import ShrinkageMemory

TERMS = {"cae": set(), "memae": {"memory_entropy"}, "rftm": set(), "mnad": {"compactness", "separateness"}}
SHAPE = (20, 3)


def build(name, shape=SHAPE, dtype="float32", seed=0, **settings):
    return build_network(DetectorConfig.from_settings(name, **settings).network, shape, dtype=dtype, seed=seed)


def run(network, views):
    return {name: keras.ops.convert_to_numpy(value) for name, value in network({"raw": views}, training=False).items()}


def views_for(shape=SHAPE, count=3):
    return np.random.default_rng(0).uniform(size=(count, *shape)).astype(np.float32)


@pytest.mark.parametrize("model", TERMS)
def test_outputs(model):
    outputs = run(build(model, (17, 5), latent_features=6), views_for((17, 5)))
    shapes = {"reconstruction": (3, 1, 17, 5), "latent": (3, 1, 6), **{term: (3,) for term in TERMS[model]}}
    assert {name: value.shape for name, value in outputs.items()} == shapes
    assert {value.dtype for value in outputs.values()} == {np.dtype("float32")}
    assert 0 <= outputs["reconstruction"].min() <= outputs["reconstruction"].max() <= 1


def test_parameters_by_hand():
    """For F latent features: encoder, decoder with F or 2 F inputs, memories of K F, two batch normalisations of 4 F each."""

    def autoencoder(features, decoder_inputs, filters=32):
        encoder = ((1, filters), (filters, features))
        convolutions = (
            *encoder,
            (decoder_inputs, 4 * filters),
            (4 * filters, 2 * filters),
            (2 * filters, filters),
            (filters, 1),
        )
        return sum(16 * inputs * outputs + outputs for inputs, outputs in convolutions)

    assert build("cae").count_params() == autoencoder(64, 64)
    assert build("cae", latent_features=2).count_params() == autoencoder(2, 2)
    assert build("cae", filters=1).count_params() == autoencoder(64, 64, filters=1)
    assert build("memae").count_params() == autoencoder(64, 64) + 500 * 64
    assert build("mnad").count_params() == autoencoder(64, 128) + 10 * 64
    assert build("rftm").count_params() == autoencoder(64, 64) + 1050 * 64 + 2 * 4 * 64
    assert build("rftm", reintegration="both").count_params() == autoencoder(64, 128) + 1050 * 64 + 2 * 4 * 64


@pytest.mark.parametrize("model", ["memae", "rftm"])
def test_decoder_depends_on_the_memory_only(model):
    """With equal slots the reconstructions of all windows are equal."""
    network = build(model)
    for layer in network.layers:
        for memory in layer.stages() if hasattr(layer, "stages") else ():
            memory.slots.assign(np.ones(memory.slots.shape))
            if isinstance(memory, ShrinkageMemory):
                memory.shrink_threshold = 0.0  # uniform attention is not above the threshold, so that nothing would be read
            queries = np.random.default_rng(0).normal(size=(5, 64)).astype(np.float32)
            np.testing.assert_allclose(np.sum(memory.attention(queries), axis=1), 1, rtol=1e-5)
    found = run(network, views_for())["reconstruction"]
    np.testing.assert_allclose(found[1:], np.broadcast_to(found[:1], found[1:].shape), atol=1e-6)
    assert np.ptp(run(build(model), views_for())["reconstruction"], axis=0).max() > 1e-5


def test_all_layers_of_a_decoder_but_the_last_have_a_relu():
    """Also with one filter, as many as the last layer has."""
    decoder = build("cae", filters=1).get_layer("decoder_raw")
    found = [layer.activation.__name__ for layer in decoder.layers if isinstance(layer, keras.layers.Activation)]
    assert found == ["relu"] * 3 + ["sigmoid"]


def test_view_other_than_raw():
    network = build("cae", views=["smoothed"])
    assert list(network.input) == ["smoothed"]


@pytest.mark.parametrize("model", TERMS)
def test_the_seed_fixes_the_weights_and_encoders_and_decoders_are_the_same_for_all(model):
    one, same, other = (build(model, seed=seed).get_weights() for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(one, same, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
    network, autoencoder = build(model, seed=1), build("cae", seed=1)
    for part in ("encoder", *(["decoder_raw"] if model != "mnad" else [])):
        for a, b in zip(network.get_layer(part).get_weights(), autoencoder.get_layer(part).get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("model", TERMS)
def test_mixed_precision_keeps_weights_and_outputs_in_float32(model, policy):
    network = build(model, dtype=policy)
    assert {weight.dtype for weight in network.weights} == {"float32"}
    outputs, full = run(network, views_for()), run(build(model), views_for())
    for name, value in outputs.items():
        assert value.dtype == np.float32
        np.testing.assert_allclose(value, full[name], atol=0.02 * np.abs(full[name]).max())
    # reconstructions of a new network are nearly constant, and RFTM may read other slots where two are about equally similar
    found, expected = (values["reconstruction"] - values["reconstruction"].mean() for values in (outputs, full))
    assert np.abs(found - expected).mean() <= 0.05 * np.ptp(expected)


@pytest.fixture
def floatx64():
    keras.config.set_floatx("float64")
    yield
    keras.config.set_floatx("float32")


@pytest.mark.parametrize("model", TERMS)
def test_float64_is_not_rounded_to_float32(model, floatx64, rng):
    """A change of the views below the resolution of float32 changes the outputs, by less than 1e-9."""
    network = build(model, dtype="float64")
    assert {weight.dtype for weight in network.weights} == {"float64"}
    views = views_for().astype(np.float64)
    outputs, changed = run(network, views), run(network, views + rng.normal(scale=1e-11, size=views.shape))
    for name, value in outputs.items():
        assert value.dtype == np.float64
        assert 0 < np.abs(changed[name] - value).max() < 1e-9
    # training updates the items of MNAD and forgets slots of RFTM; TensorFlow raises an error for mixed precisions
    network({"raw": views}, training=True)


@pytest.mark.parametrize("model", TERMS)
def test_save_and_load_without_custom_objects(model, tmp_path):
    network = build(model)
    network.save(tmp_path / "network.keras")
    loaded = keras.saving.load_model(tmp_path / "network.keras", safe_mode=True)
    for name, value in run(loaded, views_for()).items():
        np.testing.assert_allclose(value, run(network, views_for())[name], rtol=1e-5)
