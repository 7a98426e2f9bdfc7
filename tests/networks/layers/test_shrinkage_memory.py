"""MemAE's memory against values computed by hand."""

import keras
import numpy as np
import pytest

from amsl_tf.networks.layers import ShrinkageMemory


def memory_of(slots, shrink_threshold=1.0, **settings):
    layer = ShrinkageMemory(len(slots), shrink_threshold, **settings)
    layer.build((None, len(slots[0])))
    layer.slots.assign(slots)
    return layer


def test_read_and_entropy_by_hand():
    """Three slots, threshold 1/3: of the weights 5/8, 2/8 and 1/8 only the first remains."""
    query = np.log([[5.0, 2.0, 1.0]]).astype(np.float32)
    read, entropy = memory_of(np.eye(3))(query)
    np.testing.assert_allclose(read, [[1, 0, 0]], atol=1e-6)
    np.testing.assert_allclose(entropy, [0], atol=1e-6)


def test_weights_above_the_threshold_keep_their_proportions():
    """Threshold 0.6 / 3 = 1/5: of 5/8, 2/8 and 1/8 the first two remain, normalised to 5/7 and 2/7."""
    query = np.log([[5.0, 2.0, 1.0]]).astype(np.float32)
    read, entropy = memory_of(np.eye(3), 0.6)(query)
    np.testing.assert_allclose(read, [[5 / 7, 2 / 7, 0]], atol=1e-6)
    np.testing.assert_allclose(entropy, [-5 / 7 * np.log(5 / 7) - 2 / 7 * np.log(2 / 7)], rtol=1e-5)


def test_threshold_0_equals_the_softmax_memory(rng):
    from amsl_tf.networks.layers import SoftmaxMemory

    slots, queries = rng.normal(size=(20, 4)), rng.normal(size=(3, 5, 4)).astype(np.float32)
    softmax = SoftmaxMemory(20)
    softmax.build((None, 4))
    softmax.slots.assign(slots)
    for found, expected in zip(memory_of(slots, 0.0)(queries), softmax(queries), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_up_to_one_some_slot_is_always_read(rng):
    """Even if the attention is nearly uniform, as at the start of a training; above 1 no weight may remain."""
    slots, queries = rng.normal(size=(50, 4)), (1e-3 * rng.normal(size=(100, 4))).astype(np.float32)
    np.testing.assert_allclose(np.sum(memory_of(slots).attention(queries), axis=1), 1, rtol=1e-5)
    read, entropy = memory_of(slots, 2.0)(queries)
    assert not np.any(read)
    assert not np.any(entropy)


def test_read_is_attention_times_slots(rng):
    layer, queries = memory_of(rng.normal(size=(20, 4))), rng.normal(size=(9, 4)).astype(np.float32)
    np.testing.assert_allclose(layer.attention(queries) @ layer.slots.numpy(), layer(queries)[0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("size", [0.3, 3.0])
def test_outputs_and_gradients_against_the_formula_of_the_paper(size, rng):
    """Equation 7 of the paper, differentiated automatically in float64."""
    import tensorflow as tf

    slots, queries = rng.normal(size=(20, 4)), size * rng.normal(size=(9, 4))
    read_gradient, entropy_gradient = rng.normal(size=(9, 4)), rng.normal(size=9)
    reference_slots, reference_queries = tf.constant(slots), tf.constant(queries)
    with tf.GradientTape() as tape:
        tape.watch([reference_queries, reference_slots])
        weights = tf.nn.softmax(reference_queries @ tf.transpose(reference_slots))
        above = weights - 1 / 20
        weights = tf.nn.relu(above) * weights / (tf.abs(above) + 1e-12)
        weights /= tf.reduce_sum(weights, axis=-1, keepdims=True)
        outputs = [weights @ reference_slots, -tf.reduce_sum(weights * tf.math.log(weights + 1e-12), axis=-1)]
        total = tf.reduce_sum(read_gradient * outputs[0]) + tf.reduce_sum(entropy_gradient * outputs[1])
    expected = [*outputs, *tape.gradient(total, [reference_queries, reference_slots])]
    layer, inputs = memory_of(slots), tf.constant(queries, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        read, entropy = layer(inputs)
        total = tf.reduce_sum(read_gradient.astype(np.float32) * read) + tf.reduce_sum(
            entropy_gradient.astype(np.float32) * entropy
        )
    found = [read, entropy, *tape.gradient(total, [inputs, layer.slots.value])]
    assert (np.asarray(layer.attention(inputs)) == 0).any()
    for actual, value in zip(found, expected, strict=True):
        np.testing.assert_allclose(actual, value, rtol=1e-4, atol=1e-4)


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
def test_mixed_precision_is_close_to_float32(policy, rng):
    slots, queries = rng.normal(size=(20, 8)), rng.normal(size=(9, 8)).astype(np.float32)
    for found, expected in zip(memory_of(slots, dtype=policy)(queries), memory_of(slots)(queries), strict=True):
        assert found.dtype == "float32"
        np.testing.assert_allclose(found, expected, atol=0.1)


def test_config_round_trip():
    layer = ShrinkageMemory(12, 2.5, seed=4, name="memory")
    restored = keras.layers.deserialize(keras.layers.serialize(layer))
    assert (restored.num_slots, restored.shrink_threshold, restored.seed, restored.name) == (12, 2.5, 4, "memory")


@pytest.mark.parametrize("threshold", [-1.0, 12.0])
def test_threshold_out_of_range_is_an_error(threshold):
    with pytest.raises(ValueError, match="below num_slots"):
        ShrinkageMemory(12, threshold)
