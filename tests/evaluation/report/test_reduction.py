"""Reduced curves and states, by hand."""

import numpy as np

from amsl_tf.evaluation.report.reduction import decimate, find_strips


def test_decimation_keeps_extremes_in_order_and_gaps():
    """Three bins of three values, the last one padded; a gap before the fourth value."""
    values = np.array([[1, 3, 2, 9, 5, 7, np.nan, 4]], float).T
    places, (kept,) = decimate(np.arange(8.0), values, np.arange(8) == 3, 3)
    np.testing.assert_array_equal(kept, [1, 3, np.nan, 9, 5, 4, 4])
    np.testing.assert_array_equal(places, [0, 1, 2, 3, 4, 6, 7])


def test_strips_merge_what_continues():
    """A gap lies before place 4, and ends the second strip half a step earlier."""
    starts = np.arange(6.0)
    stops = starts + np.array([1, 1, 1, 0.5, 1, 1])
    found = find_strips(np.array([0, 1, 1, 2, 2, 0]), starts, stops)
    np.testing.assert_array_equal(np.transpose(found), [[1, 3, 1], [3, 3.5, 2], [4, 5, 2]])


def test_many_strips_are_combined():
    """2,500 strips: each bin of five of the 5,000 windows has a window in state 3, the largest."""
    states, starts = np.tile([0, 1, 0, 3], 1250), np.arange(5000.0)
    np.testing.assert_array_equal(np.transpose(find_strips(states, starts, starts + 1)), [[0, 5000, 3]])
