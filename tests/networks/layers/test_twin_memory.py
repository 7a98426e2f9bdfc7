"""The twin memory of RFTM, as interpreted by this project, against values computed by hand."""

import keras
import numpy as np
import pytest

from amsl_tf.networks.layers import ForgettingMemory, TwinMemory
from tests.networks.layers.conftest import is_finite_for_zeros


def memory_of(slots, forgetting=0.0, top_k=2, **settings):
    layer = ForgettingMemory(len(slots), forgetting, top_k, **settings)
    layer.build((None, len(slots[0])))
    layer.slots.assign(slots)
    return layer


def twin(reintegration="cortex", forgetting=0.5, features=4, **settings):
    parts = [ForgettingMemory(count, forgetting, 3, seed, **settings) for seed, count in enumerate((6, 20))]
    layer = TwinMemory(*parts, reintegration, **settings)
    layer.build((None, features))
    return layer


def test_read_by_hand():
    """Cosines 1, 0.6 and -1: the top 2 have the weights softmax(1, 0.6). Lengths of slots affect the read, not the cosines."""
    read = memory_of([[1.0, 0.0], [3.0, 4.0], [-1.0, 0.0]])(np.array([[10.0, 0.0]], np.float32))
    first = 1 / (1 + np.exp(-0.4))
    np.testing.assert_allclose(read, [[first + 3 * (1 - first), 4 * (1 - first)]], rtol=1e-5)


def test_negative_similarities_count_as_0():
    """Both cosines are negative, and ReLU makes them 0."""
    read = memory_of([[-1.0, 0.0], [-3.0, 4.0]])(np.array([[1.0, 0.0]], np.float32))
    np.testing.assert_allclose(read, [[-2.0, 2.0]], rtol=1e-5)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
def test_zero_query_is_finite(policy, compiled):
    assert is_finite_for_zeros(memory_of([[1.0, 0.0], [3.0, 4.0]], dtype=policy), compiled)


def test_training_forgets_the_same_share_of_slots_for_all_queries_of_a_batch():
    """Each slot is a query; a forgotten slot has similarity 0 to it. Of 10 slots floor(0.35 * 10) = 3 are forgotten."""
    layer = memory_of(np.eye(10), forgetting=0.35, top_k=1, seed=3)
    queries = np.eye(10, dtype=np.float32)
    np.testing.assert_allclose(layer(queries), queries)
    drawn = set()
    for _ in range(20):
        kept = np.isclose(np.sum(np.asarray(layer(queries, training=True)) * queries, axis=1), 1)
        # the query of a forgotten slot reads the first of the slots with similarity 0, which may be that slot
        forgotten = np.flatnonzero(~kept)
        assert 2 <= len(forgotten) <= 3
        drawn.add(tuple(forgotten))
    assert len(drawn) > 5


def test_forgotten_slots_depend_on_the_seed():
    queries = np.eye(10, dtype=np.float32)
    layers = [memory_of(np.eye(10), forgetting=0.5, top_k=1, seed=seed) for seed in (3, 3, 4)]
    one, same, other = ([np.asarray(layer(queries, training=True)) for _ in range(3)] for layer in layers)
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_read_is_attention_times_slots(rng):
    layer, queries = memory_of(rng.normal(size=(20, 4)), top_k=5), rng.normal(size=(9, 4)).astype(np.float32)
    attention = np.asarray(layer.attention(queries))
    assert ((attention > 0).sum(axis=1) == 5).all()
    np.testing.assert_allclose(attention.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(attention @ layer.slots.numpy(), layer(queries), rtol=1e-4, atol=1e-5)


def test_cortex_reads_the_output_of_the_hippocampus(rng):
    """A new batch normalisation has mean 0 and variance 1, and divides by sqrt(1 + epsilon)."""
    queries = rng.normal(size=(2, 3, 5, 4)).astype(np.float32)
    cortex, both = twin(), twin("both")

    def normalised_leaky_relu(x):
        return np.where(x > 0, x, 0.01 * x) / np.sqrt(1 + 1e-5)

    first = normalised_leaky_relu(np.asarray(cortex.hippocampus(queries)))
    second = normalised_leaky_relu(np.asarray(cortex.cortex(first)))
    np.testing.assert_allclose(cortex(queries), second, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(both(queries), np.concatenate([first, second], axis=-1), rtol=1e-5, atol=1e-6)
    stage_queries = cortex.stage_queries(queries.reshape(-1, 4))
    np.testing.assert_array_equal(stage_queries[0], queries.reshape(-1, 4))
    np.testing.assert_allclose(stage_queries[1], first.reshape(-1, 4), rtol=1e-5, atol=1e-6)


def test_training_normalises_reads_over_the_batch(rng):
    layer = twin("both", forgetting=0.0)
    outputs = np.asarray(layer(rng.normal(size=(200, 4)).astype(np.float32), training=True))
    normalised = np.where(outputs > 0, outputs, outputs / 0.01)  # the inverse of the leaky ReLU
    np.testing.assert_allclose(normalised.mean(axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(normalised.std(axis=0), 1, atol=0.01)
    assert np.abs(layer._norms[0].moving_mean.numpy()).max() > 0


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_is_close_to_float32(policy, rng):
    queries = rng.normal(size=(9, 4)).astype(np.float32)
    slots = rng.normal(size=(20, 4))
    found = memory_of(slots, top_k=20, dtype=policy)(queries)
    assert found.dtype == "float32"
    np.testing.assert_allclose(found, memory_of(slots, top_k=20)(queries), atol=0.02)
    assert twin(dtype=policy)(queries).dtype == "float32"


def test_config_round_trip():
    layer = twin("both")
    restored = keras.layers.deserialize(keras.layers.serialize(layer))
    assert restored.reintegration == "both"
    for part in ("hippocampus", "cortex"):
        memory, other = (getattr(twin_memory, part) for twin_memory in (layer, restored))
        for name in ("num_slots", "forgetting", "top_k", "seed"):
            assert getattr(memory, name) == getattr(other, name)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ForgettingMemory(10, 1.0, 3), "forgetting"),
        (lambda: ForgettingMemory(10, 0.5, 11), "top_k"),
        (lambda: twin("neither"), "reintegration"),
    ],
)
def test_invalid_parameters_are_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make()
