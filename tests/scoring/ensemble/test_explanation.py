"""The explanation of the ensemble: contributions of members, channels and time steps."""

import numpy as np
import pytest
import tensorflow as tf

from amsl_tf import AMSLDetector, load_dataset
from amsl_tf.scoring.attribution import ALL_SENSORS
from amsl_tf.scoring.ensemble import MEMBERS
from amsl_tf.scoring.ensemble.member import Member
from amsl_tf.scoring.ensemble.neighbours import Neighbours


@pytest.fixture(scope="module")
def fitted():
    """A detector for sines of 8 channels in 64 time steps, each with a frequency and a unit of its own; and such windows."""
    generator = np.random.default_rng(0)
    rates, units = generator.uniform(1, 6, 8), 10.0 ** generator.uniform(-2, 3, 8)
    phase = generator.uniform(0, 2 * np.pi, (700, 1, 8))
    windows = np.sin(rates * np.arange(64)[:, None] / 10 + phase) + generator.normal(
        0, generator.uniform(0.05, 0.5, 8), (700, 64, 8)
    )
    windows = (units * (windows + generator.normal(0, 2, 8))).astype(np.float32)
    return AMSLDetector(seed=1).fit(windows[:300]), windows


def change(windows, generator):
    """Shifts, in each window, a random part of a random channel by .5 to 4 standard deviations; also returns both."""
    changed, channels = windows.copy(), generator.integers(windows.shape[2], size=len(windows))
    parts = np.zeros(windows.shape[:2], bool)
    deviations = windows.std(axis=(0, 1))
    for row, channel in enumerate(channels):
        length = generator.integers(6, 32)
        start = generator.integers(0, windows.shape[1] - length)
        parts[row, start : start + length] = True
        changed[row, parts[row], channel] += generator.uniform(0.5, 4) * deviations[channel]
    return changed, channels, parts


def test_contributions_sum_to_the_score(fitted):
    detector, windows = fitted
    x = np.concatenate([windows[300:320], 3 * windows[300:320], windows[:5]])  # the last are in the bank
    explained, scores = detector.explain(x), detector.decision_function(x)
    assert [values.shape for values in explained] == [(45, 3), (45, 8), (45, 64), (45,), (45, 8)]
    for values in explained[:3]:
        np.testing.assert_allclose(values.sum(axis=1), scores, atol=1e-5)
    assert detector.members_ == ("levels", "powers", "kernels")
    np.testing.assert_array_equal(explained.nearest, detector.nearest(x))
    assert explained.nearest[-5:].tolist() == [0, 1, 2, 3, 4]


def largest_z_scores(train, x):
    """Returns the channel with the largest z-score: of its values, and of its mean and standard deviation in the window."""
    mean, deviation = train.mean(axis=(0, 1)), train.std(axis=(0, 1))
    yield (np.abs(x - mean) / deviation).max(axis=1).argmax(axis=1)
    described = [[values.mean(axis=1), values.std(axis=1)] for values in (train, x)]
    z_scores = [np.abs(ours - of.mean(axis=0)) / of.std(axis=0) for of, ours in zip(*described, strict=True)]
    yield np.maximum(*z_scores).argmax(axis=1)


def test_changed_channel_has_the_largest_contribution(fitted):
    """More often than it has the largest z-score; the changed part has the largest contribution of the time steps."""
    detector, windows = fitted
    train, normal = windows[:300], windows[300:]
    x, channels, parts = change(normal, np.random.default_rng(2))
    explained = detector.explain(x)
    found = (explained.channels.argmax(axis=1) == channels).mean()
    by_value, by_moments = ((largest == channels).mean() for largest in largest_z_scores(train, x))
    assert found > by_value + 0.05
    assert found > by_moments
    assert found > 0.9
    flagged = detector.predict(x) == 1
    inside = parts[np.arange(len(x)), explained.time.argmax(axis=1)]
    assert flagged.sum() > 100
    assert inside[flagged].mean() > 0.9


@pytest.mark.real_data
def test_changed_channel_of_real_windows_has_the_largest_contribution(dsads):
    """1,000 changed windows of 45 channels."""
    data = load_dataset("dsads", dsads)
    normal = np.random.default_rng(0).permutation(data.x[data.label == 0])
    train, test = normal[: len(normal) // 2], normal[len(normal) // 2 :]
    x, channels, _ = change(np.resize(test, (1000, *test.shape[1:])), np.random.default_rng(1))
    found = (AMSLDetector().fit(train).explain(x).channels.argmax(axis=1) == channels).mean()
    assert all(found > (largest == channels).mean() + 0.1 for largest in largest_z_scores(train, x))


def test_parts_and_slopes_by_hand():
    """Two features of each of two sensors, and one normal window, at 0."""
    ones = np.ones(4, np.float32)
    sensors, usual = np.array([0, 1, 0, 1], np.int32), np.ones(2, np.float32)
    neighbours = Neighbours(0 * ones, 2 * ones, 0 * ones[None], ones[:1], np.float32(0), sensors, usual)
    found = neighbours.measure(tf.constant([[6.0, 8, 0, 0], [2, 4, 2, 4]]))
    np.testing.assert_allclose(found.mean, [5, np.sqrt(10)], rtol=1e-6)
    np.testing.assert_allclose(found.parts, [[9, 16, 0, 0], [1, 4, 1, 4]], rtol=1e-6)
    np.testing.assert_allclose(found.slopes, [[9 / 6, 16 / 8, 0, 0], [1 / 2, 4 / 4, 1 / 2, 4 / 4]], rtol=1e-6)
    np.testing.assert_allclose(neighbours.sum_by_sensor(found.parts), [[9, 16], [2, 8]], rtol=1e-6)


def test_parts_of_several_neighbours_sum_to_the_squared_mean_distance():
    generator = np.random.default_rng(0)
    bank = generator.normal(size=(20, 6)).astype(np.float32)
    neighbours = Neighbours.fit(bank, np.array([0, 0, 1, 1, 2, ALL_SENSORS], np.int32), 3)
    neighbours.density = generator.uniform(0.5, 2, 20).astype(np.float32)
    found = neighbours.measure(tf.constant(generator.normal(size=(9, 6)).astype(np.float32)))
    np.testing.assert_allclose(tf.reduce_sum(neighbours.sum_by_sensor(found.parts), axis=1), found.mean**2, rtol=1e-5)
    assert (found.parts.numpy() >= 0).all()


@pytest.mark.parametrize("name", MEMBERS)
@pytest.mark.parametrize("steps", [16, 50, 125])
def test_time_steps_that_differ_have_the_parts_of_the_features(name, steps):
    """Each member divides all of the parts; in 16 steps, kernels hardly tell some from others."""
    generator = np.random.default_rng(0)
    normal = generator.normal(size=(60, steps, 2)).astype(np.float32)
    member = MEMBERS[name]()
    member.prepare(normal, 0)
    bank = member.describe(tf.constant(normal)).numpy()
    neighbours = Neighbours.fit(bank, member.sensors(bank.shape[1], 2), 2)
    x = normal.copy()
    changed = slice(steps // 4, steps // 2)
    x[:, changed, 1] = 6 * generator.normal(size=(60, steps // 2 - steps // 4))
    windows = tf.constant(x)
    found = neighbours.measure(member.describe(windows))
    by_time = member.divide_by_time(windows, found.parts, found.slopes).numpy()
    np.testing.assert_allclose(by_time.sum(axis=1), found.mean**2, rtol=1e-4)
    if steps > 16:
        assert (by_time[:, changed].mean(axis=1) > 1.25 * by_time.mean(axis=1)).mean() > 0.9
    assert (neighbours.sum_by_sensor(found.parts).numpy().argmax(axis=1) == 1).mean() > 0.9


def test_members_without_times_divide_equally():
    class Spread(Member):
        def describe(self, windows):
            return tf.math.reduce_std(windows, axis=1)

    parts = tf.constant([[1.0, 3.0]])
    np.testing.assert_allclose(Spread().divide_by_time(tf.zeros((1, 8, 2)), parts, parts), np.full((1, 8), 0.5))
    assert Spread().sensors(2, 2).tolist() == [ALL_SENSORS] * 2


def test_axes_of_a_sensor_share_its_contribution():
    generator = np.random.default_rng(0)
    windows = generator.normal(size=(80, 32, 6)).astype(np.float32)
    detector = AMSLDetector(axes=3).fit(windows)
    changed = windows[:4].copy()
    changed[:, :, 3:] *= 3
    channels = detector.explain(changed).channels
    np.testing.assert_allclose(channels[:, :3], channels[:, [0]].repeat(3, axis=1))
    np.testing.assert_allclose(channels[:, 3:], channels[:, [3]].repeat(3, axis=1))
    assert (channels[:, 3] > channels[:, 0]).all()
    np.testing.assert_allclose(channels.sum(axis=1), detector.decision_function(changed), atol=1e-5)
