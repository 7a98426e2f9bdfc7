"""The fusion against values computed by hand."""

import keras
import numpy as np

from amsl_tf.networks.layers import AdaptiveFusion


def test_initial_gates_are_one_half():
    local, shared = np.full((2, 4, 5, 6), 2.0, np.float32), np.full((2, 4, 5, 6), 4.0, np.float32)
    np.testing.assert_allclose(AdaptiveFusion()([[local] * 3, [shared] * 3]), np.full((3, 2, 4, 5, 6), 3.0))


def test_each_view_of_each_memory_has_its_own_gate():
    layer = AdaptiveFusion()
    local, shared = [np.ones((1, 1), np.float32)] * 2, [np.full((1, 1), 10.0, np.float32)] * 2
    layer([local, shared])
    odds = np.array([[1.0, 3.0], [0.25, 4.0]])  # sigmoid(log o) = o / (1 + o): 1/2, 3/4 and 1/5, 4/5
    layer.gates.assign(np.log(odds))
    np.testing.assert_allclose(np.ravel(layer([local, shared])), [0.5 + 2.0, 0.75 + 8.0], rtol=1e-6)


def test_single_memory_has_one_gate_for_each_view():
    layer = AdaptiveFusion()
    layer([[np.ones((1, 2, 2, 3), np.float32)] * 7])
    assert layer.count_params() == 7


def test_config_round_trip():
    restored = keras.layers.deserialize(keras.layers.serialize(AdaptiveFusion(name="fusion")))
    assert (type(restored), restored.name) == (AdaptiveFusion, "fusion")
