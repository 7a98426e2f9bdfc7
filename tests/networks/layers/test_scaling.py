"""Min-max scaling against scikit-learn, and constant cells, nearly constant cells, outliers and clipping by hand."""

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
    """Values outside of the fitted range are not clipped to it."""
    others = rng.normal(3.0, 9.0, (10, 2, 5, 3)).astype(np.float32)
    reference = MinMaxScaler().fit(views.reshape(30, -1))
    layer = fitted(views)
    for values in (views, others):
        expected = reference.transform(values.reshape(len(values), -1)).reshape(values.shape)
        np.testing.assert_allclose(layer(values), expected, rtol=1e-4, atol=1e-5)


def test_state_does_not_depend_on_the_batches(views):
    single, several = fitted(views, 30).state(), fitted(views, 4).state()
    assert all(np.array_equal(single[name], several[name]) for name in single)


def spanning(*spans):
    """Two windows of one view and channel: 3 at each time step, and 3 plus its span."""
    return np.float32(3) + np.float32([[0] * len(spans), spans])[:, None, :, None]


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([0, 0, 0, 0, 0], [1, 1, 1, 1, 1]),
        ([0, 2, 4, 6, 1000], [5, 2, 4, 6, 1000]),  # the typical span is the median of those that are not 0
        ([0.125, 0.25, 4, 4, 4], [4, 0.25, 4, 4, 4]),  # 5 % of 4 are 0.2
        ([0, 0, 0.5, 0, 0], [0.5, 0.5, 0.5, 0.5, 0.5]),
        ([2, 2, 1e6, 2, 2], [2, 2, 1e6, 2, 2]),
    ],
    ids=["constant channel", "constant cell", "nearly constant cell", "one step", "outlier"],
)
def test_span_of_cells(spans, expected):
    state = fitted(spanning(*spans)).state()
    np.testing.assert_array_equal(state["minimum"], np.full((1, 5, 1), 3.0))
    np.testing.assert_array_equal(state["span"].ravel(), np.float32(expected))


def test_typical_span_is_that_of_one_view_and_channel(views):
    """Other views and channels of much larger spans do not change it."""
    views[:, 0] *= 1e4
    views[:, 1, :, 2] *= 1e4
    views[:, 1, 2, 0] = 4.0
    spans = np.ptp(views[:, 1, [0, 1, 3, 4], 0], axis=0)
    assert fitted(views).state()["span"][1, 2, 0] == pytest.approx(np.median(spans), rel=1e-6)


def test_step_at_another_time_is_scaled_as_the_fitted_one():
    """A channel moved in one of 50 windows, and moves at other time steps later, as in the next draw of a random view."""
    views = np.zeros((50, 1, 10, 1), np.float32)
    views[3, 0, 2:4] = 0.001
    later = np.zeros((1, 1, 10, 1), np.float32)
    later[0, 0, 6:8] = 0.001
    np.testing.assert_array_equal(np.asarray(fitted(views)(later)).ravel(), [0, 0, 0, 0, 0, 0, 1, 1, 0, 0])


def test_scaled_values_are_clipped():
    layer = fitted(spanning(2, 2, 2, 2, 0))
    values = np.float32([201, 205, -1e30, -195, 1e30]).reshape(1, 1, 5, 1)
    np.testing.assert_array_equal(np.asarray(layer(values)).ravel(), [99, 100, -100, -99, 100])


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
