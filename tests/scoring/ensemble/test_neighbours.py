"""Distances to the nearest windows against scikit-learn and values worked out by hand."""

import numpy as np
import pytest
import tensorflow as tf
from sklearn.neighbors import NearestNeighbors

from amsl_tf.data.windows import chunks
from amsl_tf.scoring.ensemble.neighbours import FLOOR_PER_COLUMN, Neighbours


def features_of(count, columns=4, seed=0):
    return np.random.default_rng(seed).normal(3, 2, (count, columns)).astype(np.float32)


def on_a_line(*positions):
    """Returns neighbours with one column, of windows at positions."""
    bank = np.array(positions, np.float32)[:, None]
    one = np.ones(1, np.float32)
    sensors, usual = np.zeros(len(one), np.int32), np.zeros(1, np.float32)
    return Neighbours(0 * one, one, bank, np.ones(len(bank), np.float32), np.float32(0), sensors, usual)


def fit(features):
    """Fits the bank of features of one sensor."""
    return Neighbours.fit(features, np.zeros(features.shape[1], np.int32), 1)


def distances(neighbours, features, excluded=None):
    return neighbours.measure(tf.constant(features, tf.float32), excluded=excluded).mean.numpy()


def test_against_scikit_learn():
    """The mean distance to the three nearest of the bank, by features of mean 0 and standard deviation 1 in the bank."""
    train, test = features_of(60), features_of(15, seed=1)
    scaled = ((part.astype(float) - train.mean(axis=0)) / train.std(axis=0) for part in (train, test))
    reference, new = scaled
    expected, _ = NearestNeighbors(n_neighbors=3).fit(reference).kneighbors(new)
    np.testing.assert_allclose(distances(fit(train), test), expected.mean(axis=1), rtol=1e-5)


def test_density_divides_distances_before_neighbours_are_selected():
    """Windows at 1, 2, 3 and 10 from 0; the last counts as if it were at 0.5."""
    neighbours = on_a_line(1, 2, 3, 10)
    assert distances(neighbours, [[0.0]]) == pytest.approx(2)
    neighbours.density = np.array([1, 1, 1, 20], np.float32)
    assert distances(neighbours, [[0.0]]) == pytest.approx((0.5 + 1 + 2) / 3)


def test_excluded_windows():
    neighbours = on_a_line(0, 1, 3, 6, 10)
    excluded = np.zeros((3, 5), bool)
    excluded[1, :2] = True
    excluded[2, [0, 1, 3, 4]] = True
    found = distances(neighbours, np.zeros((3, 1)), excluded)
    np.testing.assert_allclose(found, [(0 + 1 + 3) / 3, (3 + 6 + 10) / 3, 3], rtol=1e-6)


@pytest.mark.parametrize("count", [1, 2])
def test_fewer_than_three_windows(count):
    assert distances(on_a_line(*range(1, count + 1)), [[0.0]]) == pytest.approx((1 + count) / 2)


def test_distances_do_not_depend_on_the_batch():
    neighbours, test = fit(features_of(60)), features_of(15, seed=1)
    alone = [distances(neighbours, test[row : row + 1])[0] for row in range(15)]
    np.testing.assert_allclose(alone, distances(neighbours, test), rtol=1e-6)


def test_near_windows_far_from_the_origin_are_exact():
    """The squares of the differences are computed from large products; the distances are not."""
    neighbours = on_a_line(1000, 1000.01, 1000.02, 0)
    assert distances(neighbours, [[1000.0]]) == pytest.approx(0.01, rel=0.01)


def test_distances_of_duplicates_are_below_the_floor():
    """They are rounding errors."""
    train = np.repeat(features_of(20, columns=50), 3, axis=0)
    neighbours = fit(train)
    neighbours.set_floor(np.zeros(60))
    assert distances(neighbours, train).max() < neighbours.floor


def test_constant_columns():
    """They count in their own units, and without rounding errors."""
    train = features_of(60)
    train[:, 1] = 1e6 + np.random.default_rng(0).uniform(-0.5, 0.5, 60)
    train[:, 2] = 7.0
    neighbours = fit(train)
    assert neighbours.scale[1:3].tolist() == [1, 1]
    new = np.repeat(train[:1], 2, axis=0)
    new[1, 2] += 50
    found = distances(neighbours, new)
    assert found[0] < 2
    assert found[1] == pytest.approx(50, rel=0.01)


def test_density_by_hand():
    """Distances to others: 0 has 1, 3, 7; 1 has 1, 2, 6; 3 has 3, 2, 4; 7 has 7, 6, 4. The median of the means is 10 / 3."""
    neighbours = on_a_line(0, 1, 3, 7)
    neighbours.set_density(np.arange(4))
    np.testing.assert_allclose(neighbours.density, np.sqrt(np.array([11, 9, 9, 17]) / 10), rtol=1e-5)


def test_density_of_five_neighbours_without_equal_ids():
    positions = np.cumsum(np.geomspace(1, 9, 12))
    ids = np.repeat(np.arange(6), 2)
    neighbours = on_a_line(*positions)
    neighbours.set_density(ids)
    gaps = np.abs(positions[:, None] - positions)
    local = np.sort(np.where(ids[:, None] == ids, np.inf, gaps), axis=1)[:, :5].mean(axis=1)
    np.testing.assert_allclose(neighbours.density, np.sqrt(local / np.median(local)), rtol=1e-4)


def test_density_does_not_depend_on_the_number_of_windows_compared_at_once(monkeypatch):
    first, second = fit(features_of(60)), fit(features_of(60))
    first.set_density(np.arange(60))
    monkeypatch.setattr("amsl_tf.scoring.ensemble.neighbours.chunks", lambda array: chunks(array, 7))
    second.set_density(np.arange(60))
    np.testing.assert_allclose(first.density, second.density, rtol=1e-5)
    assert first.density.std() > 0.01


def test_density_of_duplicates_is_limited():
    """A twentieth of the median distance at least: the square root of 0.05."""
    neighbours = on_a_line(*[0.0] * 6, *np.arange(10, 20))
    neighbours.set_density(np.arange(16))
    np.testing.assert_allclose(neighbours.density[:6], np.sqrt(0.05), rtol=1e-5)


@pytest.mark.parametrize("ids", [[0, 1, 2], [0, 0, 0]])
def test_density_of_equal_windows_is_1(ids):
    neighbours = on_a_line(2, 2, 2)
    neighbours.set_density(np.array(ids))
    assert neighbours.density.tolist() == [1, 1, 1]


def test_floor():
    """A hundredth of the median distance, or what float32 resolves."""
    neighbours = fit(features_of(60))
    neighbours.set_floor(np.array([0, 2, 3, 4, 1000]))
    assert neighbours.floor == pytest.approx(0.03)
    neighbours.set_floor(np.zeros(5))
    assert neighbours.floor == pytest.approx(2 * FLOOR_PER_COLUMN)  # of four columns


def test_log_distances():
    neighbours = on_a_line(1, 2, 30)
    neighbours.density, neighbours.floor = np.array([1, 4, 1], np.float32), np.float32(0.75)
    found = neighbours.log_distances(tf.zeros((1, 1)))
    np.testing.assert_allclose(found, np.log([[1, 0.75, 30]]), rtol=1e-5)  # 2 / 4 is below the floor
