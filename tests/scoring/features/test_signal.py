"""Features of the raw signal against NumPy and values computed by hand."""

import numpy as np
import pytest

from amsl_tf.scoring.features.signal import describe_signal


def signal_parts(x, axes=1):
    """Returns levels (N, 5, S), logarithms of powers (N, K, S) and correlations (N, pairs)."""
    features = describe_signal(np.asarray(x, np.float32), axes).numpy()
    sensors = x.shape[2] // axes
    pairs = sensors * (sensors - 1) // 2 if sensors <= 32 else 0
    levels, powers, correlations = np.split(features, [5 * sensors, features.shape[1] - pairs], axis=1)
    return levels.reshape(len(x), 5, sensors), powers.reshape(len(x), -1, sensors), correlations


def test_levels_are_quantiles(rng):
    x = rng.normal(size=(3, 125, 4))
    expected = np.quantile(x, [0.05, 0.25, 0.5, 0.75, 0.95], axis=1).transpose(1, 0, 2)
    np.testing.assert_allclose(signal_parts(x)[0], expected, atol=1e-6)


def test_power_of_a_sine_is_in_its_band():
    """A sine of amplitude 3 has the power (3 / 2)^2 at 20 cycles per window; other bands have rounding errors."""
    time = np.arange(128) / 128
    _, powers, _ = signal_parts(3 * np.sin(2 * np.pi * 20 * time)[None, :, None])
    edges = np.unique(np.round(np.geomspace(1, 65, 13)))
    band = np.searchsorted(edges, 20, side="right") - 1
    width = edges[band + 1] - edges[band]
    assert powers[0, band, 0] == pytest.approx(np.log(2.25 / width), abs=1e-4)
    assert np.delete(powers[0, :, 0], band).max() < -15


def test_correlations(rng):
    x = rng.normal(size=(3, 50, 4))
    expected = [np.arctanh(np.corrcoef(window.T)[np.triu_indices(4, 1)]) for window in x]
    np.testing.assert_allclose(signal_parts(x)[2], expected, atol=1e-5)


def test_perfect_correlation_is_clipped(rng):
    x = np.repeat(rng.normal(size=(1, 50, 1)), 2, axis=2)
    assert signal_parts(x)[2] == pytest.approx(np.arctanh(0.99))


def test_features_are_invariant_to_rotation_of_a_sensor(rng):
    x = rng.normal(size=(4, 20, 6))
    rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    rotated = (x.reshape(4, 20, 2, 3) @ rotation).reshape(4, 20, 6)
    for features, expected in zip(signal_parts(x, axes=3), signal_parts(rotated, axes=3), strict=True):
        np.testing.assert_allclose(features, expected, atol=1e-4)
    assert np.abs(signal_parts(x)[0] - signal_parts(rotated)[0]).max() > 0.1


@pytest.mark.parametrize("value", [0.0, 0.1, -1e30])
def test_constant_sensors_have_equal_powers(value):
    constant = np.full((1, 125, 2), value)
    levels, powers, correlations = signal_parts(constant)
    assert np.isfinite(powers).all()
    assert np.ptp(powers) < 1e-3
    np.testing.assert_allclose(levels, value, rtol=1e-6)
    np.testing.assert_allclose(correlations, 0.0, atol=1e-6)


def test_sensor_with_rounding_errors_only_has_no_correlations(rng):
    x = rng.normal(size=(4, 50, 2))
    x[:, :, 0] = 9.81 * (1 + 1e-6 * rng.normal(size=(4, 50)))
    assert (signal_parts(x)[2] == 0).all()


def test_features_are_invariant_to_circular_shifts(rng):
    x = rng.normal(size=(3, 40, 6)).astype(np.float32)
    np.testing.assert_allclose(describe_signal(np.roll(x, 7, axis=1), 3), describe_signal(x, 3), atol=1e-4)


def test_features_do_not_depend_on_the_batch(rng):
    x = rng.normal(size=(5, 40, 6)).astype(np.float32)
    alone = np.concatenate([describe_signal(x[row : row + 1], 3) for row in range(5)])
    np.testing.assert_allclose(alone, describe_signal(x, 3), atol=1e-6)


@pytest.mark.parametrize(("steps", "bands"), [(16, 7), (125, 11), (1000, 12)])
def test_short_windows_have_fewer_bands(rng, steps, bands):
    assert signal_parts(rng.normal(size=(2, steps, 1)))[1].shape == (2, bands, 1)


def test_many_sensors_have_no_correlations(rng):
    assert describe_signal(rng.normal(size=(1, 16, 33)).astype(np.float32), 1).shape == (1, 33 * (5 + 7))
