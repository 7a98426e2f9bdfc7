"""The networks of one view: size, shapes, what stands between encoder and decoder, precision, saving."""

import keras
import numpy as np
import pytest

from amsl_tf.config import DetectorConfig
from amsl_tf.layers import ShrinkageMemory
from amsl_tf.models import build_network

TERMS = {"cae": set(), "memae": {"memory_entropy"}, "rftm": set(), "mnad": {"compactness", "separateness"}}
SHAPE = (20, 3)


def build(model, shape=SHAPE, dtype="float32", seed=0, **settings):
    return build_network(DetectorConfig.from_settings(model, **settings).model, shape, dtype=dtype, seed=seed)


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
    """With F features: encoder and a decoder that sees F, or 2 F; memories of K slots; two batch normalizations of 4 F."""

    def plain(features, seen):
        convolutions = ((1, 32), (32, features), (seen, 128), (128, 64), (64, 32), (32, 1))
        return sum(16 * before * after + after for before, after in convolutions)

    assert build("cae").count_params() == plain(64, 64)
    assert build("cae", latent_features=2).count_params() == plain(2, 2)
    assert build("memae").count_params() == plain(64, 64) + 500 * 64
    assert build("mnad").count_params() == plain(64, 128) + 10 * 64
    assert build("rftm").count_params() == plain(64, 64) + 1050 * 64 + 2 * 4 * 64
    assert build("rftm", reintegration="both").count_params() == plain(64, 128) + 1050 * 64 + 2 * 4 * 64


@pytest.mark.parametrize("model", ["memae", "rftm"])
def test_the_decoder_sees_nothing_but_the_memory(model):
    """With all slots equal every window is rebuilt alike."""
    network = build(model)
    for layer in network.layers:
        for memory in layer.stages() if hasattr(layer, "stages") else ():
            memory.slots.assign(np.ones(memory.slots.shape))
            if isinstance(memory, ShrinkageMemory):
                memory.shrink_threshold = 0.0  # or nothing would be read of slots that are all alike
    made = run(network, views_for())["reconstruction"]
    np.testing.assert_allclose(made[1:], np.broadcast_to(made[:1], made[1:].shape), atol=1e-6)
    assert np.ptp(run(build(model), views_for())["reconstruction"], axis=0).max() > 1e-5


def test_the_view_may_be_another_than_raw():
    network = build("cae", views=["smoothed"])
    assert list(network.input) == ["smoothed"]


@pytest.mark.parametrize("model", TERMS)
def test_the_seed_fixes_the_weights_and_encoders_and_decoders_are_the_same_for_all(model):
    one, same, other = (build(model, seed=seed).get_weights() for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(one, same, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
    network, plain = build(model, seed=1), build("cae", seed=1)
    for part in ("encoder", *(["decoder_raw"] if model != "mnad" else [])):
        for a, b in zip(network.get_layer(part).get_weights(), plain.get_layer(part).get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("model", TERMS)
def test_mixed_precision_keeps_weights_and_outputs_in_float32(model, policy):
    network = build(model, dtype=policy)
    assert {weight.dtype for weight in network.weights} == {"float32"}
    outputs, plain = run(network, views_for()), run(build(model), views_for())
    for name, value in outputs.items():
        assert value.dtype == np.float32
        np.testing.assert_allclose(value, plain[name], atol=0.02 * np.abs(plain[name]).max())
    # what a new network rebuilds hardly differs from cell to cell, and RFTM may choose other slots where two are alike
    found, wanted = (made["reconstruction"] - made["reconstruction"].mean() for made in (outputs, plain))
    assert np.abs(found - wanted).mean() <= 0.05 * np.ptp(wanted)


@pytest.fixture
def floatx64():
    keras.config.set_floatx("float64")
    yield
    keras.config.set_floatx("float32")


@pytest.mark.parametrize("model", TERMS)
def test_in_float64_nothing_is_rounded_to_float32(model, floatx64, rng):
    """What float32 would not see is seen in what comes out, and moves it by no more than that."""
    network = build(model, dtype="float64")
    assert {weight.dtype for weight in network.weights} == {"float64"}
    views = views_for().astype(np.float64)
    outputs, moved = run(network, views), run(network, views + rng.normal(scale=1e-11, size=views.shape))
    for name, value in outputs.items():
        assert value.dtype == np.float64
        assert 0 < np.abs(moved[name] - value).max() < 1e-9
    network(
        {"raw": views}, training=True
    )  # MNAD's items are moved, RFTM's slots forgotten: TensorFlow takes one precision only


@pytest.mark.parametrize("model", TERMS)
def test_it_is_saved_and_loaded_without_custom_objects(model, tmp_path):
    network = build(model)
    network.save(tmp_path / "network.keras")
    again = keras.saving.load_model(tmp_path / "network.keras", safe_mode=True)
    for name, value in run(again, views_for()).items():
        np.testing.assert_allclose(value, run(network, views_for())[name], rtol=1e-5)
