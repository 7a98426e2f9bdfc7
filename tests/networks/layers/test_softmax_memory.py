"""The memory of AMSL against values computed by hand."""

import keras
import numpy as np
import pytest
from keras import ops

from amsl_tf.networks.layers import SoftmaxMemory


def memory_of(slots):
    layer = SoftmaxMemory(len(slots))
    layer.build((None, len(slots[0])))
    layer.slots.assign(slots)
    return layer


def test_read_and_entropy_by_hand():
    """Two slots, query (ln 3, 0): weights 3/4 and 1/4, entropy 2 ln 2 - 3/4 ln 3."""
    read, entropy = memory_of([[1.0, 0.0], [0.0, 1.0]])(np.array([[np.log(3.0), 0.0]], np.float32))
    np.testing.assert_allclose(read, [[0.75, 0.25]], rtol=1e-6)
    np.testing.assert_allclose(entropy, [2 * np.log(2) - 0.75 * np.log(3)], rtol=1e-6)


def test_against_numpy_in_float64(rng):
    slots, queries = rng.normal(size=(50, 8)), rng.normal(size=(3, 4, 5, 8))
    logits = queries @ slots.T
    weights = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    read, entropy = memory_of(slots)(queries.astype(np.float32))
    np.testing.assert_allclose(read, weights @ slots, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(entropy, -(weights * np.log(weights)).sum(-1), rtol=1e-4, atol=1e-5)


def test_read_is_attention_times_slots(rng):
    layer, queries = memory_of(rng.normal(size=(20, 4))), rng.normal(size=(9, 4)).astype(np.float32)
    attention = ops.convert_to_numpy(layer.attention(queries))
    np.testing.assert_allclose(attention.sum(axis=1), np.ones(9), rtol=1e-5)
    np.testing.assert_allclose(attention @ ops.convert_to_numpy(layer.slots), layer(queries)[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [0.0, 1.0, 1e3, 1e6])
def test_entropy_and_its_gradient_are_finite_for_any_query(size, rng):
    """log(0) must not occur, even if the attention is one-hot."""
    import tensorflow as tf

    layer = memory_of(rng.normal(size=(20, 4)))
    queries = tf.constant(size * rng.normal(size=(9, 4)), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(queries)
        read, entropy = layer(queries)
        loss = tf.reduce_sum(read) + tf.reduce_sum(entropy)
    gradients = tape.gradient(loss, [queries, layer.slots.value])
    assert np.isfinite(loss)
    assert all(np.isfinite(gradient).all() for gradient in gradients)
    assert np.all(entropy <= np.log(20) + 1e-4)


def test_equal_slots_have_the_maximum_entropy():
    _, entropy = memory_of(np.ones((500, 3)))(np.ones((2, 3), np.float32))
    np.testing.assert_allclose(entropy, np.log(500), rtol=1e-5)


def test_initial_slots_are_uniform():
    """Within 1 / sqrt(K) for K slots."""
    layer = SoftmaxMemory(500, seed=1)
    layer.build((None, 64))
    slots = ops.convert_to_numpy(layer.slots)
    assert abs(slots).max() <= 1 / np.sqrt(500)
    assert abs(slots).max() > 0.99 / np.sqrt(500)
    assert abs(slots.mean()) < 1e-3


def test_gradients_against_the_formula_of_the_paper(rng):
    """Of a weighted sum of reads and entropies, differentiated automatically in float64."""
    import tensorflow as tf

    slots, queries = rng.normal(size=(30, 8)), rng.normal(size=(5, 7, 8))
    read_gradient, entropy_gradient = rng.normal(size=(5, 7, 8)), rng.normal(size=(5, 7))
    reference_queries, reference_slots = tf.constant(queries), tf.constant(slots)
    with tf.GradientTape() as tape:
        tape.watch([reference_queries, reference_slots])
        weights = tf.nn.softmax(reference_queries @ tf.transpose(reference_slots))
        entropy = -tf.reduce_sum(weights * tf.math.log(weights), axis=-1)
        total = tf.reduce_sum(read_gradient * (weights @ reference_slots)) + tf.reduce_sum(entropy_gradient * entropy)
    expected = tape.gradient(total, [reference_queries, reference_slots])
    layer, inputs = memory_of(slots), tf.constant(queries, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        read, entropy = layer(inputs)
        total = tf.reduce_sum(read_gradient.astype(np.float32) * read) + tf.reduce_sum(
            entropy_gradient.astype(np.float32) * entropy
        )
    for actual, value in zip(tape.gradient(total, [inputs, layer.slots.value]), expected, strict=True):
        np.testing.assert_allclose(actual, value, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("output", "logarithms"), [(0, 0), (1, 1)])
def test_unused_entropy_is_not_computed(output, logarithms, rng):
    """Scoring needs the reads only."""
    from tensorflow.compat import v1

    with v1.Graph().as_default(), v1.Session() as session:
        outputs = memory_of(rng.normal(size=(20, 4)))(v1.placeholder("float32", (None, 4)))
        session.run(v1.global_variables_initializer())
        metadata = v1.RunMetadata()
        options = v1.RunOptions(output_partition_graphs=True)
        session.run(outputs[output], {"Placeholder:0": np.ones((3, 4))}, options, metadata)
    assert sum(node.op == "Log" for graph in metadata.partition_graphs for node in graph.node) == logarithms


@pytest.mark.parametrize(("policy", "tolerance"), [("mixed_bfloat16", 2e-2), ("mixed_float16", 3e-3)])
def test_mixed_precision_is_close_to_float32(policy, tolerance, rng):
    slots, queries = rng.uniform(-0.05, 0.05, (500, 64)), rng.uniform(0, 2, (9, 64)).astype(np.float32)
    layer = SoftmaxMemory(500, dtype=policy)
    layer.build((None, 64))
    layer.slots.assign(slots)
    for found, expected in zip(layer(queries), memory_of(slots)(queries), strict=True):
        assert found.dtype == "float32"
        np.testing.assert_allclose(found, expected, atol=tolerance * np.abs(expected).max())


def test_config_round_trip():
    layer = SoftmaxMemory(12, seed=4, name="global_memory")
    restored = keras.layers.deserialize(keras.layers.serialize(layer))
    assert (restored.num_slots, restored.seed, restored.name, restored.dtype_policy.name) == (12, 4, "global_memory", "float32")


def test_zero_slots_are_an_error():
    with pytest.raises(ValueError, match=r"num_slots must be at least 1. Received: 0"):
        SoftmaxMemory(0)
