"""The members of the ensemble against direct computations, and their contract."""

import numpy as np
import pytest
import tensorflow as tf

from amsl_tf.scoring.ensemble import MEMBERS
from amsl_tf.scoring.ensemble.kernels import DILATIONS, FLOOR, KERNELS, LENGTH, MARGIN, Kernels
from amsl_tf.scoring.ensemble.levels import Levels
from amsl_tf.scoring.ensemble.powers import FLOOR as POWER_FLOOR
from amsl_tf.scoring.ensemble.powers import Powers
from amsl_tf.scoring.features.signal import QUANTILES


def windows_of(count=20, steps=24, sensors=3, seed=0):
    return np.random.default_rng(seed).normal(size=(count, steps, sensors)).astype(np.float32)


def prepared(member, windows):
    member.prepare(windows, 1)
    return member


def describe(member, windows):
    return member.describe(tf.constant(windows)).numpy()


def test_levels_are_quantiles():
    windows = windows_of()
    expected = np.quantile(windows, QUANTILES, axis=1).transpose(1, 0, 2).reshape(20, 15)
    np.testing.assert_allclose(describe(Levels(), windows), expected, atol=1e-6)


def test_power_of_a_sine_is_in_its_band():
    """A sine of amplitude A has the power A**2 / 4 at its frequency; the bands of 24 steps are single frequencies up to 4."""
    time = np.arange(24) / 24
    windows = np.stack([2 * np.sin(2 * np.pi * 3 * time), np.cos(2 * np.pi * time), np.full(24, 7.0)], axis=1)
    powers = describe(Powers(), windows[None].astype(np.float32)).reshape(-1, 3)
    expected = np.full(powers.shape, np.log(POWER_FLOOR))
    expected[2, 0], expected[0, 1] = np.log(1 + POWER_FLOOR), np.log(0.25 + POWER_FLOOR)
    np.testing.assert_allclose(powers, expected, atol=1e-5)


@pytest.mark.parametrize("steps", [16, 17, 125])
def test_power_in_all_bands_is_that_of_the_window(steps):
    """The powers, times the frequencies in each band, are half the variance, by Parseval's theorem.

    For even T, the highest frequency counts half.
    """
    windows = windows_of(steps=steps)
    powers = np.exp(describe(Powers(), windows).reshape(20, -1, 3)) - POWER_FLOOR
    edges = np.unique(np.round(np.geomspace(1, steps // 2 + 1, 13)))
    total = np.einsum("k,nks->ns", np.diff(edges), powers)
    if steps % 2 == 0:
        total -= np.mean(windows * (-1.0) ** np.arange(steps)[:, None], axis=1) ** 2 / 2
    np.testing.assert_allclose(total, windows.var(axis=1) / 2, rtol=1e-3)


def test_powers_ignore_levels():
    windows = windows_of()
    np.testing.assert_allclose(describe(Powers(), windows + 100), describe(Powers(), windows), atol=1e-3)


def convolve(windows, weights, dilation):
    """Computes the outputs (B, T - dilation * (LENGTH - 1), K) of kernels (LENGTH, S, K)."""
    count = windows.shape[1] - dilation * (LENGTH - 1)
    parts = [windows[:, dilation * step : dilation * step + count] @ weights[step] for step in range(LENGTH)]
    return np.sum(parts, axis=0)


@pytest.mark.parametrize(("steps", "dilations"), [(16, 1), (17, 2), (24, 2), (33, 3), (65, 4), (97, 5), (200, 5)])
def test_kernels_fit_into_the_window(steps, dilations):
    member = prepared(Kernels(), windows_of(4, steps))
    weights = member.constants()["weights"]
    assert weights.shape == (dilations, LENGTH, 3, KERNELS // dilations)
    np.testing.assert_allclose(np.sum(weights**2, axis=(1, 2)), 1, rtol=1e-5)
    assert describe(member, windows_of(2, steps)).shape == (2, 4 * dilations * (KERNELS // dilations))


def test_kernels_against_a_direct_computation():
    windows = windows_of(4, 40)
    member = prepared(Kernels(), windows)
    weights = member.constants()["weights"].astype(float)
    assert (np.count_nonzero(weights.any(axis=1), axis=1) == 1).all()  # of one sensor each
    assert {int(sensor) for sensor in weights.any(axis=1).argmax(axis=1).ravel()} == {0, 1, 2}
    shares, variances = [], []
    for own, dilation in zip(weights, DILATIONS, strict=False):
        output = convolve(windows.astype(float), own, dilation)
        biases = np.quantile(output, (0.25, 0.5, 0.75), axis=(0, 1)) + MARGIN
        shares += [(output > bias).mean(axis=1) for bias in biases]
        variances.append(np.log(output.var(axis=1) + FLOOR))
    found = describe(member, windows)
    count = 3 * len(variances) * variances[0].shape[1]
    step = 1 / (40 - LENGTH + 1)  # a value close to a bias may be on the other side
    differences = np.abs(found[:, :count] - np.concatenate(shares, axis=1))
    assert differences.max() <= 3 * step
    assert np.mean(differences > 1e-5) < 0.02
    np.testing.assert_allclose(found[:, count:], np.concatenate(variances, axis=1), atol=1e-4)


def test_shares_by_hand():
    """A kernel that returns its first step: of 16 steps it sees the first 8, of which 5, 3 and 0 are above the biases."""
    member = Kernels()
    weights = np.zeros((1, LENGTH, 1, 1), np.float32)
    weights[0, 0] = 1.0
    member.restore({"weights": weights, "biases": np.array([0.5, 1.5, 9.0], np.float32).reshape(1, 3, 1)})
    window = np.array([0, 1, 1, 2, 0, 2, 2, 0, *[9] * 8], np.float32).reshape(1, 16, 1)
    features = describe(member, window)[0]
    np.testing.assert_allclose(features, [5 / 8, 3 / 8, 0, np.log(0.75 + FLOOR)], atol=1e-6)


def test_rounding_errors_of_a_sensor_at_rest_do_not_matter(rng):
    """It is at the same level in most windows, so that a bias is its output."""
    windows = windows_of()
    windows[:12] = [0.3, -0.7, 1.1]
    member = prepared(Kernels(), windows)
    noisy = (windows * (1 + rng.uniform(-1e-6, 1e-6, windows.shape))).astype(np.float32)
    np.testing.assert_allclose(describe(member, noisy)[:12], describe(member, windows)[:12], atol=1e-4)


@pytest.fixture(params=list(MEMBERS))
def member(request):
    """An instance of each member."""
    return MEMBERS[request.param]()


@pytest.mark.parametrize(("steps", "sensors"), [(16, 1), (24, 3), (50, 40)])
def test_shape_of_the_features(member, steps, sensors):
    windows = windows_of(5, steps, sensors)
    prepared(member, windows)
    features = describe(member, windows)
    assert features.dtype == np.float32
    assert features.ndim == 2
    assert len(features) == 5
    graph = tf.function(member.describe, input_signature=[tf.TensorSpec((None, steps, sensors))])
    assert graph.get_concrete_function().output_shapes[1] == features.shape[1]
    assert (np.std(features, axis=0) > 0).mean() > 0.9  # few columns say nothing


def test_features_of_extreme_windows_are_finite(member):
    windows = windows_of(6)
    prepared(member, windows)
    windows[0], windows[1], windows[2] = 1e3, -1e3, 0
    windows[3] = np.where(np.arange(24) % 2, 1e3, -1e3)[:, None]
    windows[4, :, 0] = 5.0
    windows[5, 7, 1] = 1e3
    assert np.isfinite(describe(member, windows)).all()


def test_constant_windows_in_training(member):
    windows = np.zeros((4, 24, 3), np.float32)
    prepared(member, windows)
    assert np.isfinite(describe(member, windows)).all()
    assert np.isfinite(describe(member, windows_of())).all()


def test_features_do_not_depend_on_the_batch(member):
    windows = windows_of()
    prepared(member, windows)
    alone = np.concatenate([describe(member, windows[row : row + 1]) for row in range(20)])
    np.testing.assert_allclose(alone, describe(member, windows), atol=1e-5)


@pytest.mark.parametrize("sensors", [1, 3, 40])
def test_constants_are_all_that_is_fitted(member, sensors):
    """A new instance with the constants, also as variables in a graph, computes the same features."""
    windows = windows_of(sensors=sensors)
    prepared(member, windows)
    constants = member.constants()
    assert all(np.asarray(value).dtype.kind in "if" for value in constants.values())
    restored, variables = type(member)(), type(member)()
    restored.restore(constants)
    variables.restore({name: tf.Variable(value, trainable=False) for name, value in constants.items()})
    expected = describe(member, windows)
    np.testing.assert_array_equal(describe(restored, windows), expected)
    graph = tf.function(variables.describe, input_signature=[tf.TensorSpec((None, 24, sensors))], autograph=False)
    np.testing.assert_allclose(graph(tf.constant(windows)), expected, atol=1e-5)
    assert all(variable.shape == constants[name].shape for name, variable in variables.constants().items())


def test_seed(member):
    """The same seed gives the same features; another gives others where there is something random."""
    windows = windows_of(sensors=40)
    features = []
    for seed in (1, 1, 2):
        member.prepare(windows, seed)
        features.append(describe(member, windows))
    np.testing.assert_array_equal(features[0], features[1])
    assert (features[0] != features[2]).any() == bool(member.constants())
