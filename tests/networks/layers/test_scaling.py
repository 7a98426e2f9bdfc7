"""Min-max scaling against scikit-learn, and edge cases."""

import keras
import numpy as np
import pytest
from sklearn.preprocessing import MinMaxScaler

from amsl_tf.networks.layers import MinMaxScaling


@pytest.fixture
def views(rng):
    return rng.normal(3.0, 2.0, (30, 2, 5, 3)).astype(np.float32)


def fitted(views, batch=7):
    layer = MinMaxScaling()
    layer.adapt(views[start : start + batch] for start in range(0, len(views), batch))
    return layer


def test_against_scikit_learn(views, rng):
    """Values outside of the fitted range are not clipped."""
    others = rng.normal(3.0, 9.0, (10, 2, 5, 3)).astype(np.float32)
    reference = MinMaxScaler().fit(views.reshape(30, -1))
    layer = fitted(views)
    for values in (views, others):
        expected = reference.transform(values.reshape(len(values), -1)).reshape(values.shape)
        np.testing.assert_allclose(layer(values), expected, rtol=1e-4, atol=1e-5)


def test_state_does_not_depend_on_the_batches(views):
    single, several = fitted(views, 30).state(), fitted(views, 4).state()
    assert all(np.array_equal(single[name], several[name]) for name in single)


def test_constant_cell(views):
    views[:, 1, 2, 0] = 4.0
    layer = fitted(views)
    np.testing.assert_array_equal(np.asarray(layer(views))[:, 1, 2, 0], 0.0)
    assert np.asarray(layer(views + 1.0))[0, 1, 2, 0] == 1.0


def test_cell_that_is_constant_up_to_rounding(views):
    views[:, 0, 0, 0] = np.float32(9.81)
    views[3, 0, 0, 0] = np.nextafter(np.float32(9.81), np.float32(10))
    assert np.abs(np.asarray(fitted(views)(views))[:, 0, 0, 0]).max() < 1e-5


def test_inverse(views):
    layer = fitted(views)
    np.testing.assert_allclose(layer.inverse(layer(views)), views, rtol=1e-5, atol=1e-5)


def test_state_round_trip(views):
    restored = MinMaxScaling()
    restored.restore(**fitted(views).state())
    np.testing.assert_array_equal(restored(views), fitted(views)(views))


def test_no_weights_are_trainable(views):
    assert fitted(views).trainable_weights == []


def test_adapt_without_batches_is_an_error():
    with pytest.raises(ValueError, match="at least one batch"):
        MinMaxScaling().adapt([])


def test_config_round_trip():
    restored = keras.layers.deserialize(keras.layers.serialize(MinMaxScaling(name="scaling")))
    assert (type(restored), restored.name, restored.dtype_policy.name, restored.trainable) == (
        MinMaxScaling,
        "scaling",
        "float32",
        False,
    )
