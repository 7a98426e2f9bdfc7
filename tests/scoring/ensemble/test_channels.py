"""The scaling of channels against values worked out by hand."""

import numpy as np
import pytest
import tensorflow as tf

from amsl_tf.scoring.ensemble.channels import CONSTANT_LIMIT, LIMIT, ChannelScaling


def windows_of(values):
    """Returns windows (N, 20, C) of values (20 N, C)."""
    values = np.asarray(values, np.float32)
    return values.reshape(-1, 20, values.shape[1])


def scale(scaling, windows):
    return scaling(tf.constant(windows)).numpy()


def test_mean_and_standard_deviation_are_0_and_1(rng):
    windows = rng.normal([5.0, -300.0], [0.01, 70.0], (50, 20, 2)).astype(np.float32)
    scaled = scale(ChannelScaling.fit(windows, 1), windows)
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(scaled.mean(axis=(0, 1)), 0, atol=0.01)
    np.testing.assert_allclose(scaled.std(axis=(0, 1)), 1, atol=0.02)  # the largest values do not count in full


def test_by_hand():
    """Half of the values are 1 and half are 5: mean 3, standard deviation 2."""
    scaling = ChannelScaling.fit(windows_of([[1.0], [5.0]] * 20), 1)
    assert (scaling.mean, scaling.scale) == (3.0, 2.0)
    np.testing.assert_allclose(scale(scaling, windows_of([[3.0], [7.0]] * 10)).ravel(), [0, 2] * 10)


def test_norms_of_sensors_with_axes():
    """The norms of the first sensor are 5 and 13; the second has one axis, with the norm of absolute values."""
    values = [[3.0, 0, 4, 0, -1, 0], [0, 5, 12, 0, 3, 0]] * 20
    scaling = ChannelScaling.fit(windows_of(values), 3)
    np.testing.assert_allclose(scaling.mean, [9, 2])
    np.testing.assert_allclose(scaling.scale, [4, 1])
    scaled = scale(scaling, windows_of([[0, 0, 9, 2, 2, 1]] * 20))
    assert scaled.shape == (1, 20, 2)
    np.testing.assert_allclose(scaled[0, 0], [0, 1], atol=1e-6)


def test_norms_do_not_depend_on_the_orientation(rng):
    windows = rng.normal(size=(10, 20, 3)).astype(np.float32)
    rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    scaling = ChannelScaling.fit(windows, 3)
    np.testing.assert_allclose(scale(scaling, (windows @ rotation).astype(np.float32)), scale(scaling, windows), atol=1e-5)


@pytest.mark.parametrize("level", [0.0, 7.0, -1e6])
def test_a_constant_sensor_is_shifted_and_limited(level, rng):
    windows = rng.normal(size=(50, 20, 2)).astype(np.float32)
    windows[:, :, 1] = level
    scaling = ChannelScaling.fit(windows, 1)
    new = np.zeros((1, 20, 2), np.float32)
    new[0, :4, 1] = level + np.array([0, 3, 50, -50])
    moving, own = scaling.scale
    assert own == moving  # that of the other sensor, which is smaller than the levels 7 and 1e6
    np.testing.assert_allclose(scale(scaling, new)[0, :4, 1], [0, 3 / own, CONSTANT_LIMIT, -CONSTANT_LIMIT], rtol=1e-6)
    np.testing.assert_array_equal(scaling.deviation, [moving, 0])


def test_the_scale_of_a_constant_sensor_is_at_most_its_value(rng):
    windows = rng.normal(size=(50, 20, 2)).astype(np.float32)
    windows[:, :, 1] = -0.25
    assert ChannelScaling.fit(windows, 1).scale[1] == 0.25


@pytest.mark.parametrize(("level", "expected"), [(0.0, 1.0), (-3.0, 3.0)])
def test_only_constant_sensors(level, expected):
    assert ChannelScaling.fit(np.full((5, 20, 1), level, np.float32), 1).scale == expected


@pytest.mark.parametrize("unit", [1e-6, 1e-3, 1e6])
@pytest.mark.parametrize("outlier", [None, 1e6])
def test_scaled_values_do_not_depend_on_the_unit(unit, outlier, rng):
    windows = rng.normal(size=(50, 20, 3)).astype(np.float32)
    windows[:, :, 0], windows[:, :, 1] = 0.5, 0
    if outlier is not None:
        windows[3, 10] = outlier
    new = rng.normal(size=(5, 20, 3)).astype(np.float32)
    scaled, expected = (scale(ChannelScaling.fit(windows * by, 1), new * by) for by in (np.float32(unit), np.float32(1)))
    np.testing.assert_allclose(scaled, expected, rtol=1e-4, atol=1e-5)


def test_an_outlier_does_not_hide_that_a_constant_sensor_moves(rng):
    windows = rng.normal(size=(50, 20, 2)).astype(np.float32)
    windows[:, :, 0] = 0.5
    windows[3, 10, 0] = 1e6
    scaling = ChannelScaling.fit(windows, 1)
    assert (scaling.mean[0], scaling.scale[0], scaling.limit[0]) == (0.5, 0.5, CONSTANT_LIMIT)


def test_an_outlier_among_few_values(rng):
    """Of 200 values: a thousandth of them is none."""
    windows = rng.normal(size=(10, 20, 1)).astype(np.float32)
    before = ChannelScaling.fit(windows, 1).scale
    windows[3, 10] = 1e5
    assert ChannelScaling.fit(windows, 1).scale == pytest.approx(before, rel=0.1)


def test_rounding_errors_are_no_deviation(rng):
    windows = (1e6 + rng.uniform(-0.2, 0.2, (50, 20, 1))).astype(np.float32)
    assert 0 < windows.std() < 0.5
    assert ChannelScaling.fit(windows, 1).limit == CONSTANT_LIMIT


def test_outliers_hardly_change_the_scale(rng):
    values = rng.normal(size=(10_000, 1))
    before = ChannelScaling.fit(windows_of(values), 1)
    values[5000] = 1e6
    after = ChannelScaling.fit(windows_of(values), 1)
    assert after.scale == pytest.approx(before.scale, rel=0.01)
    assert after.mean == pytest.approx(before.mean, abs=0.01)


def test_a_sensor_that_hardly_ever_moves_is_constant():
    """Five values of 2 among 9995 of 0, fewer than one in a thousand, cannot be told from outliers."""
    values = np.zeros((10_000, 1))
    values[::2000] = 2.0
    scaling = ChannelScaling.fit(windows_of(values), 1)
    assert (scaling.mean, scaling.scale, scaling.limit) == (0, 1, CONSTANT_LIMIT)


def test_scaled_values_are_limited(rng):
    windows = rng.normal(size=(50, 20, 1)).astype(np.float32)
    scaling = ChannelScaling.fit(windows, 1)
    windows[0, :2, 0] = [1e30, -1e30]
    np.testing.assert_array_equal(scale(scaling, windows)[0, :2, 0], [LIMIT, -LIMIT])


@pytest.mark.parametrize("axes", [1, 3])
def test_the_largest_values_are_finite(axes, rng):
    """Their squares are not, in float32."""
    windows = (1e30 * rng.uniform(-1, 1, (50, 20, 3))).astype(np.float32)
    scaled = scale(ChannelScaling.fit(windows, axes), windows)
    np.testing.assert_allclose(scaled.std(axis=(0, 1)), 1, atol=0.02)


def test_attributes_as_variables(rng):
    """As in an exported model."""
    windows = rng.normal(3, 2, (10, 20, 6)).astype(np.float32)
    scaling = ChannelScaling.fit(windows, 3)
    restored = ChannelScaling(*(tf.Variable(value) for value in (scaling.mean, scaling.scale, scaling.limit)))
    graph = tf.function(lambda x: restored(x), input_signature=[tf.TensorSpec((None, 20, 6))], autograph=False)
    np.testing.assert_allclose(graph(tf.constant(windows)), scale(scaling, windows), atol=1e-6)
