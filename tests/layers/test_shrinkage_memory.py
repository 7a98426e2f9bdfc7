"""MemAE's memory against values worked out by hand."""

import keras
import numpy as np
import pytest

from amsl_tf.layers import ShrinkageMemory


def memory_of(slots, shrink_threshold=1.0, **settings):
    layer = ShrinkageMemory(len(slots), shrink_threshold, **settings)
    layer.build((None, len(slots[0])))
    layer.slots.assign(slots)
    return layer


def test_by_hand():
    """Three slots, threshold 1/3: of the weights 5/8, 2/8 and 1/8 only the first is left."""
    query = np.log([[5.0, 2.0, 1.0]]).astype(np.float32)
    read, entropy = memory_of(np.eye(3))(query)
    np.testing.assert_allclose(read, [[1, 0, 0]], atol=1e-6)
    np.testing.assert_allclose(entropy, [0], atol=1e-6)


def test_what_is_above_the_threshold_keeps_its_proportions():
    """Threshold 0.6 / 3 = 1/5: of 5/8, 2/8 and 1/8 the first two are left, as 5/7 and 2/7."""
    query = np.log([[5.0, 2.0, 1.0]]).astype(np.float32)
    read, entropy = memory_of(np.eye(3), 0.6)(query)
    np.testing.assert_allclose(read, [[5 / 7, 2 / 7, 0]], atol=1e-6)
    np.testing.assert_allclose(entropy, [-5 / 7 * np.log(5 / 7) - 2 / 7 * np.log(2 / 7)], rtol=1e-5)


def test_without_shrinkage_it_is_amsls_softmax(rng):
    from amsl_tf.layers import SoftmaxMemory

    slots, queries = rng.normal(size=(20, 4)), rng.normal(size=(3, 5, 4)).astype(np.float32)
    plain = SoftmaxMemory(20)
    plain.build((None, 4))
    plain.slots.assign(slots)
    for found, wanted in zip(memory_of(slots, 0.0)(queries), plain(queries), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


def test_up_to_one_some_slot_is_always_read(rng):
    """However little queries tell slots apart, as when a training begins; above 1 nothing may be left."""
    slots, queries = rng.normal(size=(50, 4)), (1e-3 * rng.normal(size=(100, 4))).astype(np.float32)
    np.testing.assert_allclose(np.sum(memory_of(slots).attention(queries), axis=1), 1, rtol=1e-5)
    read, entropy = memory_of(slots, 2.0)(queries)
    assert not np.any(read)
    assert not np.any(entropy)


def test_the_attention_is_what_is_read_with(rng):
    layer, queries = memory_of(rng.normal(size=(20, 4))), rng.normal(size=(9, 4)).astype(np.float32)
    np.testing.assert_allclose(layer.attention(queries) @ layer.slots.numpy(), layer(queries)[0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("size", [0.3, 3.0])
def test_reads_entropies_and_gradients_are_those_of_the_papers_formula(size, rng):
    """Its equation 7, differentiated operation by operation in float64."""
    import tensorflow as tf

    slots, queries = rng.normal(size=(20, 4)), size * rng.normal(size=(9, 4))
    of_read, of_entropy = rng.normal(size=(9, 4)), rng.normal(size=9)
    plain_slots, plain_queries = tf.constant(slots), tf.constant(queries)
    with tf.GradientTape() as tape:
        tape.watch([plain_queries, plain_slots])
        weights = tf.nn.softmax(plain_queries @ tf.transpose(plain_slots))
        above = weights - 1 / 20
        weights = tf.nn.relu(above) * weights / (tf.abs(above) + 1e-12)
        weights /= tf.reduce_sum(weights, axis=-1, keepdims=True)
        made = [weights @ plain_slots, -tf.reduce_sum(weights * tf.math.log(weights + 1e-12), axis=-1)]
        total = tf.reduce_sum(of_read * made[0]) + tf.reduce_sum(of_entropy * made[1])
    expected = [*made, *tape.gradient(total, [plain_queries, plain_slots])]
    layer, inputs = memory_of(slots), tf.constant(queries, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        read, entropy = layer(inputs)
        total = tf.reduce_sum(of_read.astype(np.float32) * read) + tf.reduce_sum(of_entropy.astype(np.float32) * entropy)
    found = [read, entropy, *tape.gradient(total, [inputs, layer.slots.value])]
    assert (np.asarray(layer.attention(inputs)) == 0).any()
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("size", [0.0, 1.0, 1e4])
def test_gradients_are_finite_for_any_query(size, rng):
    import tensorflow as tf

    layer, queries = memory_of(rng.normal(size=(20, 4))), tf.constant(size * rng.normal(size=(9, 4)), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(queries)
        read, entropy = layer(queries)
        loss = tf.reduce_sum(read) + tf.reduce_sum(entropy)
    assert all(np.isfinite(gradient).all() for gradient in tape.gradient(loss, [queries, layer.slots.value]))


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_stays_near_float32_and_returns_it(policy, rng):
    slots, queries = rng.normal(size=(20, 8)), rng.normal(size=(9, 8)).astype(np.float32)
    for found, wanted in zip(memory_of(slots, dtype=policy)(queries), memory_of(slots)(queries), strict=True):
        assert found.dtype == "float32"
        np.testing.assert_allclose(found, wanted, atol=0.1)


def test_config_round_trip():
    layer = ShrinkageMemory(12, 2.5, seed=4, name="memory")
    again = keras.layers.deserialize(keras.layers.serialize(layer))
    assert (again.num_slots, again.shrink_threshold, again.seed, again.name) == (12, 2.5, 4, "memory")


@pytest.mark.parametrize("threshold", [-1.0, 12.0])
def test_a_threshold_that_leaves_nothing_is_refused(threshold):
    with pytest.raises(ValueError, match="below num_slots"):
        ShrinkageMemory(12, threshold)
