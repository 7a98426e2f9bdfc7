"""The memory against values worked out by hand."""

import keras
import numpy as np
import pytest
from keras import ops

from amsl_tf.layers import SoftmaxMemory


def memory_of(slots):
    layer = SoftmaxMemory(len(slots))
    layer.build((None, len(slots[0])))
    layer.slots.assign(slots)
    return layer


def test_by_hand():
    """Two slots, query (ln 3, 0): weights 3/4 and 1/4, entropy 2 ln 2 - 3/4 ln 3."""
    read, entropy = memory_of([[1.0, 0.0], [0.0, 1.0]])(np.array([[np.log(3.0), 0.0]], np.float32))
    np.testing.assert_allclose(read, [[0.75, 0.25]], rtol=1e-6)
    np.testing.assert_allclose(entropy, [2 * np.log(2) - 0.75 * np.log(3)], rtol=1e-6)


def test_against_plain_float64(rng):
    slots, queries = rng.normal(size=(50, 8)), rng.normal(size=(3, 4, 5, 8))
    logits = queries @ slots.T
    weights = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    read, entropy = memory_of(slots)(queries.astype(np.float32))
    np.testing.assert_allclose(read, weights @ slots, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(entropy, -(weights * np.log(weights)).sum(-1), rtol=1e-4, atol=1e-5)


def test_the_attention_is_what_is_read_with(rng):
    layer, queries = memory_of(rng.normal(size=(20, 4))), rng.normal(size=(9, 4)).astype(np.float32)
    attention = ops.convert_to_numpy(layer.attention(queries))
    np.testing.assert_allclose(attention.sum(axis=1), np.ones(9), rtol=1e-5)
    np.testing.assert_allclose(attention @ ops.convert_to_numpy(layer.slots), layer(queries)[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [0.0, 1.0, 1e3, 1e6])
def test_entropy_and_its_gradient_are_finite_for_any_query(size, rng):
    """log(0) must not occur, however sharp the attention."""
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


def test_equal_slots_give_the_largest_entropy():
    _, entropy = memory_of(np.ones((500, 3)))(np.ones((2, 3), np.float32))
    np.testing.assert_allclose(entropy, np.log(500), rtol=1e-5)


def test_slots_start_uniform_within_one_over_the_root_of_their_number():
    layer = SoftmaxMemory(500, seed=1)
    layer.build((None, 64))
    slots = ops.convert_to_numpy(layer.slots)
    assert abs(slots).max() <= 1 / np.sqrt(500)
    assert abs(slots).max() > 0.99 / np.sqrt(500)
    assert abs(slots.mean()) < 1e-3


def test_gradients_are_those_of_the_plain_formula(rng):
    """Of a sum of reads and entropies with weights of their own, differentiated operation by operation in float64."""
    import tensorflow as tf

    slots, queries = rng.normal(size=(30, 8)), rng.normal(size=(5, 7, 8))
    of_read, of_entropy = rng.normal(size=(5, 7, 8)), rng.normal(size=(5, 7))
    plain_queries, plain_slots = tf.constant(queries), tf.constant(slots)
    with tf.GradientTape() as tape:
        tape.watch([plain_queries, plain_slots])
        weights = tf.nn.softmax(plain_queries @ tf.transpose(plain_slots))
        entropy = -tf.reduce_sum(weights * tf.math.log(weights), axis=-1)
        total = tf.reduce_sum(of_read * (weights @ plain_slots)) + tf.reduce_sum(of_entropy * entropy)
    expected = tape.gradient(total, [plain_queries, plain_slots])
    layer, inputs = memory_of(slots), tf.constant(queries, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        read, entropy = layer(inputs)
        total = tf.reduce_sum(of_read.astype(np.float32) * read) + tf.reduce_sum(of_entropy.astype(np.float32) * entropy)
    for found, wanted in zip(tape.gradient(total, [inputs, layer.slots.value]), expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("wanted", "logarithms"), [(0, 0), (1, 1)])
def test_a_graph_that_wants_no_entropy_does_not_compute_it(wanted, logarithms, rng):
    """Scoring wants reads only."""
    from tensorflow.compat import v1

    with v1.Graph().as_default(), v1.Session() as session:
        made = memory_of(rng.normal(size=(20, 4)))(v1.placeholder("float32", (None, 4)))
        session.run(v1.global_variables_initializer())
        ran = v1.RunMetadata()
        options = v1.RunOptions(output_partition_graphs=True)
        session.run(made[wanted], {"Placeholder:0": np.ones((3, 4))}, options, ran)
    assert sum(node.op == "Log" for graph in ran.partition_graphs for node in graph.node) == logarithms


@pytest.mark.parametrize(("policy", "tolerance"), [("mixed_bfloat16", 2e-2), ("mixed_float16", 3e-3)])
def test_mixed_precision_stays_near_float32_and_returns_it(policy, tolerance, rng):
    slots, queries = rng.uniform(-0.05, 0.05, (500, 64)), rng.uniform(0, 2, (9, 64)).astype(np.float32)
    layer = SoftmaxMemory(500, dtype=policy)
    layer.build((None, 64))
    layer.slots.assign(slots)
    for found, wanted in zip(layer(queries), memory_of(slots)(queries), strict=True):
        assert found.dtype == "float32"
        np.testing.assert_allclose(found, wanted, atol=tolerance * np.abs(wanted).max())


def test_config_round_trip():
    layer = SoftmaxMemory(12, seed=4, name="global_memory")
    again = keras.layers.deserialize(keras.layers.serialize(layer))
    assert (again.num_slots, again.seed, again.name, again.dtype_policy.name) == (12, 4, "global_memory", "float32")


def test_no_slots_are_refused():
    with pytest.raises(ValueError, match=r"num_slots must be at least 1. Received: 0"):
        SoftmaxMemory(0)
