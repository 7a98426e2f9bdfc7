"""MNAD's memory against values computed by hand."""

import keras
import numpy as np
import pytest

from amsl_tf.networks.layers import PrototypeMemory
from tests.networks.layers.conftest import is_finite_for_zeros


def memory_of(slots, **settings):
    layer = PrototypeMemory(len(slots), **settings)
    layer.build((None, len(slots[0])))
    layer.slots.assign(slots)
    return layer


def test_output_and_losses_by_hand():
    """Items (1, 0) and (0, 1), query (3, 4): normalised (0.6, 0.8), the second item is the nearest."""
    output, compactness, separateness = memory_of(np.eye(2))(np.array([[3.0, 4.0]], np.float32))
    second = 1 / (1 + np.exp(-0.2))
    np.testing.assert_allclose(output, [[0.6, 0.8, 1 - second, second]], rtol=1e-5)
    np.testing.assert_allclose(compactness, [(0.36 + 0.04) / 2], rtol=1e-5)
    np.testing.assert_allclose(separateness, [np.sqrt(0.4) - np.sqrt(0.16 + 0.64) + 1], rtol=1e-5)


def test_separateness_is_0_beyond_the_margin():
    """The query equals an item, and the other item is opposite: 0 - 2 + 1 is below 0."""
    _, compactness, separateness = memory_of([[1.0, 0.0], [-1.0, 0.0]])(np.array([[5.0, 0.0]], np.float32))
    np.testing.assert_allclose([compactness, separateness], 0, atol=1e-5)


def test_items_are_updated_with_their_nearest_queries():
    """Queries (1, 0) and (0.6, 0.8) are nearest to (1, 0) and (0, 1); v / max v is exp(product - largest product)."""
    layer = memory_of(np.eye(2))
    layer(np.array([[1.0, 0.0], [0.6, 0.8]], np.float32), training=True)
    # the query nearest to an item has the largest product with it, 1 and 0.8, and so the weight 1
    expected = np.array([[2.0, 0.0], [0.6, 1.8]])
    np.testing.assert_allclose(layer.slots, expected / np.linalg.norm(expected, axis=1, keepdims=True), rtol=1e-5)


def test_weight_of_an_update_depends_on_the_similarity():
    """Both queries are nearest to the first item, with products 1 and 0.8: the second has weight exp(-0.2)."""
    layer = memory_of([[1.0, 0.0], [0.0, -1.0]])
    layer(np.array([[1.0, 0.0], [0.8, 0.6]], np.float32), training=True)
    updated = np.array([1.0, 0.0]) + np.array([1.0, 0.0]) + np.exp(-0.2) * np.array([0.8, 0.6])
    np.testing.assert_allclose(layer.slots[0], updated / np.linalg.norm(updated), rtol=1e-5)
    np.testing.assert_allclose(layer.slots[1], [0.0, -1.0], atol=1e-6)  # nearest to no query: unchanged


def test_outside_of_training_items_stay(rng):
    layer = memory_of(np.eye(4))
    layer(rng.normal(size=(9, 4)).astype(np.float32))
    np.testing.assert_array_equal(layer.slots, np.eye(4))


def test_items_have_unit_length_and_are_not_trainable(rng):
    layer = PrototypeMemory(10, seed=1)
    queries = rng.normal(size=(2, 3, 4, 8)).astype(np.float32)
    output, compactness, separateness = layer(queries, training=True)
    assert output.shape == (2, 3, 4, 16)
    assert compactness.shape == separateness.shape == (2, 3, 4)
    np.testing.assert_allclose(np.linalg.norm(layer.slots, axis=1), 1, rtol=1e-5)
    assert layer.trainable_weights == []


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
def test_zero_query_is_finite(policy, compiled):
    assert is_finite_for_zeros(memory_of(np.eye(2), dtype=policy), compiled)


def test_read_is_attention_times_slots(rng):
    layer, queries = memory_of(np.eye(4)), rng.normal(size=(9, 4)).astype(np.float32)
    np.testing.assert_allclose(layer.attention(queries) @ layer.slots.numpy(), layer(queries)[0][:, 4:], rtol=1e-5)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_items_are_not_rounded_in_mixed_precision(policy, rng):
    queries = rng.normal(size=(9, 4)).astype("bfloat16" if policy == "mixed_bfloat16" else "float16").astype(np.float32)
    mixed, plain = memory_of(np.eye(4), dtype=policy), memory_of(np.eye(4))
    for found, expected in zip(mixed(queries, training=True), plain(queries, training=True), strict=True):
        assert found.dtype == "float32"
        np.testing.assert_allclose(found, expected, rtol=1e-5)
    np.testing.assert_allclose(mixed.slots, plain.slots, rtol=1e-5)


def test_config_round_trip():
    layer = PrototypeMemory(12, seed=4, name="memory")
    restored = keras.layers.deserialize(keras.layers.serialize(layer))
    assert (restored.num_slots, restored.seed, restored.name) == (12, 4, "memory")


def test_single_item_is_an_error():
    with pytest.raises(ValueError, match="at least 2"):
        PrototypeMemory(1)
