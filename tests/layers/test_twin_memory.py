"""RFTM's twin memory, as read here, against values worked out by hand."""

import keras
import numpy as np
import pytest

from amsl_tf.layers import ForgettingMemory, TwinMemory
from tests.layers.conftest import is_finite_for_zeros


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


def test_by_hand():
    """Cosines 1, 0.6 and -1: of the two largest, softmax(1, 0.6). Lengths do not count in the cosines, but in the read."""
    read = memory_of([[1.0, 0.0], [3.0, 4.0], [-1.0, 0.0]])(np.array([[10.0, 0.0]], np.float32))
    first = 1 / (1 + np.exp(-0.4))
    np.testing.assert_allclose(read, [[first + 3 * (1 - first), 4 * (1 - first)]], rtol=1e-5)


def test_what_points_the_other_way_counts_as_no_likeness():
    """Both cosines are negative: relu makes them equal."""
    read = memory_of([[-1.0, 0.0], [-3.0, 4.0]])(np.array([[1.0, 0.0]], np.float32))
    np.testing.assert_allclose(read, [[-2.0, 2.0]], rtol=1e-5)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
def test_a_query_of_zeros_is_safe(policy, compiled):
    assert is_finite_for_zeros(memory_of([[1.0, 0.0], [3.0, 4.0]], dtype=policy), compiled)


def test_in_training_as_many_slots_are_forgotten_as_asked_and_the_same_ones_for_a_batch():
    """Every slot is its own query: a slot that is forgotten is not like itself any more. Of 10 slots floor(0.35 10) = 3."""
    layer = memory_of(np.eye(10), forgetting=0.35, top_k=1, seed=3)
    queries = np.eye(10, dtype=np.float32)
    np.testing.assert_allclose(layer(queries), queries)
    seen = set()
    for _ in range(20):
        kept = np.isclose(np.sum(np.asarray(layer(queries, training=True)) * queries, axis=1), 1)
        # the query of a forgotten slot reads the first of those that are all alike to it, which may be itself
        forgotten = np.flatnonzero(~kept)
        assert 2 <= len(forgotten) <= 3
        seen.add(tuple(forgotten))
    assert len(seen) > 5


def test_what_is_forgotten_follows_from_the_seed():
    queries = np.eye(10, dtype=np.float32)
    layers = [memory_of(np.eye(10), forgetting=0.5, top_k=1, seed=seed) for seed in (3, 3, 4)]
    one, same, other = ([np.asarray(layer(queries, training=True)) for _ in range(3)] for layer in layers)
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_the_attention_is_what_is_read_with(rng):
    layer, queries = memory_of(rng.normal(size=(20, 4)), top_k=5), rng.normal(size=(9, 4)).astype(np.float32)
    attention = np.asarray(layer.attention(queries))
    assert ((attention > 0).sum(axis=1) == 5).all()
    np.testing.assert_allclose(attention.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(attention @ layer.slots.numpy(), layer(queries), rtol=1e-4, atol=1e-5)


def test_the_twins_are_asked_one_after_the_other(rng):
    """The new batch normalization, mean 0 and variance 1, changes next to nothing."""
    queries = rng.normal(size=(2, 3, 5, 4)).astype(np.float32)
    cortex, both = twin(), twin("both")

    def leaky(x):
        return np.where(x > 0, x, 0.01 * x) / np.sqrt(1 + 1e-5)

    first = leaky(np.asarray(cortex.hippocampus(queries)))
    second = leaky(np.asarray(cortex.cortex(first)))
    np.testing.assert_allclose(cortex(queries), second, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(both(queries), np.concatenate([first, second], axis=-1), rtol=1e-5, atol=1e-6)
    asked = cortex.asked(queries.reshape(-1, 4))
    np.testing.assert_array_equal(asked[0], queries.reshape(-1, 4))
    np.testing.assert_allclose(asked[1], first.reshape(-1, 4), rtol=1e-5, atol=1e-6)


def test_in_training_reads_are_normalised_over_the_batch(rng):
    layer = twin("both", forgetting=0.0)
    made = np.asarray(layer(rng.normal(size=(200, 4)).astype(np.float32), training=True))
    plain = np.where(made > 0, made, made / 0.01)  # the leaky rectifier undone
    np.testing.assert_allclose(plain.mean(axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(plain.std(axis=0), 1, atol=0.01)
    assert np.abs(layer._norms[0].moving_mean.numpy()).max() > 0


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_stays_near_float32_and_returns_it(policy, rng):
    queries = rng.normal(size=(9, 4)).astype(np.float32)
    slots, plain = rng.normal(size=(20, 4)), memory_of
    found = memory_of(slots, top_k=20, dtype=policy)(queries)
    assert found.dtype == "float32"
    np.testing.assert_allclose(found, plain(slots, top_k=20)(queries), atol=0.02)
    assert twin(dtype=policy)(queries).dtype == "float32"


def test_config_round_trip():
    layer = twin("both")
    again = keras.layers.deserialize(keras.layers.serialize(layer))
    assert again.reintegration == "both"
    for part in ("hippocampus", "cortex"):
        one, other = (getattr(twins, part) for twins in (layer, again))
        for name in ("num_slots", "forgetting", "top_k", "seed"):
            assert getattr(one, name) == getattr(other, name)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: ForgettingMemory(10, 1.0, 3), "forgetting"),
        (lambda: ForgettingMemory(10, 0.5, 11), "top_k"),
        (lambda: twin("neither"), "reintegration"),
    ],
)
def test_what_makes_no_sense_is_refused(make, said):
    with pytest.raises(ValueError, match=said):
        make()
