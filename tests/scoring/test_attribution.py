"""The division of scores among sensors and time steps."""

import numpy as np
import tensorflow as tf

from amsl_tf.scoring.attribution import ALL_SENSORS, divide, divide_logarithm, sum_by_sensor


def test_features_of_a_sensor_are_summed_and_others_divided():
    values = tf.constant([[1.0, 2.0, 4.0, 9.0], [0.0, 0.0, 0.0, 3.0]])
    sensors = np.array([2, 0, 2, ALL_SENSORS], np.int32)
    np.testing.assert_allclose(sum_by_sensor(values, sensors, 3), [[2 + 3, 3, 5 + 3], [1, 1, 1]])


def test_larger_amounts_have_larger_contributions():
    """Of positive and of negative values, and equal ones where all amounts are 0; far values have no effect on the sum."""
    values, amounts = np.array([1.0, -1, 3, 100, -100]), np.array([[1, 2.0], [1, 2], [0, 0], [1, 3], [1, 3]])
    found = divide(tf.constant(values, tf.float32), tf.constant(amounts, tf.float32)).numpy()
    np.testing.assert_allclose(found.sum(axis=1), values, rtol=1e-5)
    assert (found[[0, 1, 3], 1] > found[[0, 1, 3], 0]).all()
    np.testing.assert_allclose(found[2], 1.5, rtol=1e-6)
    usual = 3 * np.exp(-2) / 2  # of the first, by hand
    np.testing.assert_allclose(found[0], (amounts[0] - usual) / (3 - 2 * usual), rtol=1e-5)


def test_logarithm_is_divided_by_what_exceeds_the_usual():
    """3 and 1 in place of the usual 1 and 1: all of log(4 / 2) / 2 comes from the first."""
    amounts = np.array([[3, 1], [1, 1], [0, 0.25]], np.float32)
    found = divide_logarithm(np.log(amounts.sum(axis=1) / 2) / 2, amounts, tf.constant([1.0, 1.0])).numpy()
    np.testing.assert_allclose(found[0], [np.log(2) / 2, 0], atol=1e-6)
    np.testing.assert_allclose(found[1], [0, 0], atol=1e-6)
    np.testing.assert_allclose(found[2], np.log(0.125) / 2 * np.array([1, 0.75]) / 1.75, rtol=1e-5)


def test_logarithm_against_integrated_gradients():
    generator = np.random.default_rng(0)
    usual, amounts = generator.uniform(0.1, 2, 5), generator.uniform(0.1, 9, (20, 5))
    expected = 0
    for place in (np.arange(10_000) + 0.5) / 10_000:
        between = usual + place * (amounts - usual)
        expected = expected + (amounts - usual) / (2 * between.sum(axis=1, keepdims=True)) / 10_000
    value = np.log(amounts.sum(axis=1) / usual.sum()) / 2
    found = divide_logarithm(*(tf.constant(values, tf.float32) for values in (value, amounts, usual)))
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_logarithm_near_zero_is_divided_like_others():
    """The series takes over where the difference of sums is lost to rounding."""
    usual = np.array([0.4, 0.6], np.float32)
    amounts = np.array([[0.4 + step, 0.6 - step / 2] for step in (1e-2, 3e-3, 1e-3, 1e-5)], np.float32)
    found = divide_logarithm(np.log(amounts.sum(axis=1)) / 2, amounts, tf.constant(usual)).numpy()
    np.testing.assert_allclose(found / (amounts - usual), 0.5, rtol=0.01)
