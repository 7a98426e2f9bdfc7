"""MNAD's memory against values worked out by hand."""

import keras
import numpy as np
import pytest

from amsl_tf.layers import PrototypeMemory
from tests.layers.conftest import is_finite_for_zeros


def memory_of(slots, **settings):
    layer = PrototypeMemory(len(slots), **settings)
    layer.build((None, len(slots[0])))
    layer.slots.assign(slots)
    return layer


def test_by_hand():
    """Items (1, 0) and (0, 1), a query of length 5 along (3, 4): q = (0.6, 0.8), nearest the second."""
    made, compactness, separateness = memory_of(np.eye(2))(np.array([[3.0, 4.0]], np.float32))
    second = 1 / (1 + np.exp(-0.2))
    np.testing.assert_allclose(made, [[0.6, 0.8, 1 - second, second]], rtol=1e-5)
    np.testing.assert_allclose(compactness, [(0.36 + 0.04) / 2], rtol=1e-5)
    np.testing.assert_allclose(separateness, [np.sqrt(0.4) - np.sqrt(0.16 + 0.64) + 1], rtol=1e-5)


def test_a_margin_that_is_kept_costs_nothing():
    """A query on its item, the other one in the opposite direction: 0 - 2 + 1 is below 0."""
    _, compactness, separateness = memory_of([[1.0, 0.0], [-1.0, 0.0]])(np.array([[5.0, 0.0]], np.float32))
    np.testing.assert_allclose([compactness, separateness], 0, atol=1e-5)


def test_items_gather_the_queries_nearest_to_them():
    """Queries (1, 0) and (0.6, 0.8) are nearest to (1, 0) and (0, 1); v / max v is exp of the product less the largest one."""
    layer = memory_of(np.eye(2))
    layer(np.array([[1.0, 0.0], [0.6, 0.8]], np.float32), training=True)
    # products with the second item are 0 and 0.8: its query has weight 1; so has the first item's, whose product is 1
    expected = np.array([[2.0, 0.0], [0.6, 1.8]])
    np.testing.assert_allclose(layer.slots, expected / np.linalg.norm(expected, axis=1, keepdims=True), rtol=1e-5)


def test_a_query_counts_less_the_less_it_is_like_the_item():
    """Both queries are nearest to the first item, with products 1 and 0.8: the second has weight exp(-0.2)."""
    layer = memory_of([[1.0, 0.0], [0.0, -1.0]])
    layer(np.array([[1.0, 0.0], [0.8, 0.6]], np.float32), training=True)
    moved = np.array([1.0, 0.0]) + np.array([1.0, 0.0]) + np.exp(-0.2) * np.array([0.8, 0.6])
    np.testing.assert_allclose(layer.slots[0], moved / np.linalg.norm(moved), rtol=1e-5)
    np.testing.assert_allclose(layer.slots[1], [0.0, -1.0], atol=1e-6)  # nobody's nearest: it stays


def test_outside_of_training_items_stay(rng):
    layer = memory_of(np.eye(4))
    layer(rng.normal(size=(9, 4)).astype(np.float32))
    np.testing.assert_array_equal(layer.slots, np.eye(4))


def test_items_have_length_1_and_no_gradient(rng):
    layer = PrototypeMemory(10, seed=1)
    queries = rng.normal(size=(2, 3, 4, 8)).astype(np.float32)
    made, compactness, separateness = layer(queries, training=True)
    assert made.shape == (2, 3, 4, 16)
    assert compactness.shape == separateness.shape == (2, 3, 4)
    np.testing.assert_allclose(np.linalg.norm(layer.slots, axis=1), 1, rtol=1e-5)
    assert layer.trainable_weights == []


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
def test_a_query_of_zeros_is_safe(policy, compiled):
    assert is_finite_for_zeros(memory_of(np.eye(2), dtype=policy), compiled)


def test_the_attention_is_what_is_read_with(rng):
    layer, queries = memory_of(np.eye(4)), rng.normal(size=(9, 4)).astype(np.float32)
    np.testing.assert_allclose(layer.attention(queries) @ layer.slots.numpy(), layer(queries)[0][:, 4:], rtol=1e-5)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_in_mixed_precision_items_are_not_rounded(policy, rng):
    queries = rng.normal(size=(9, 4)).astype("bfloat16" if policy == "mixed_bfloat16" else "float16").astype(np.float32)
    mixed, plain = memory_of(np.eye(4), dtype=policy), memory_of(np.eye(4))
    for found, wanted in zip(mixed(queries, training=True), plain(queries, training=True), strict=True):
        assert found.dtype == "float32"
        np.testing.assert_allclose(found, wanted, rtol=1e-5)
    np.testing.assert_allclose(mixed.slots, plain.slots, rtol=1e-5)


def test_config_round_trip():
    layer = PrototypeMemory(12, seed=4, name="memory")
    again = keras.layers.deserialize(keras.layers.serialize(layer))
    assert (again.num_slots, again.seed, again.name) == (12, 4, "memory")


def test_one_item_has_no_second():
    with pytest.raises(ValueError, match="at least 2"):
        PrototypeMemory(1)
