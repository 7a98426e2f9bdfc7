"""Recordings and their validation, by hand."""

import numpy as np
import pytest

from amsl_tf.data.recordings import Recording, window_labels
from amsl_tf.errors import DataError


def test_parts_keep_labels_and_times():
    recording = Recording(np.arange(10.0).reshape(5, 2), "a.csv", label=[0, 0, 1, 1, 0], time=[0, 1, 2, 4, 5])
    part = recording[1:4]
    assert (len(recording), len(part), part.x.dtype, part.name) == (5, 3, np.float32, "a.csv")
    assert part.x.tolist() == [[2, 3], [4, 5], [6, 7]]
    assert (part.label.tolist(), part.time.tolist()) == ([0, 1, 1], [1, 2, 4])
    assert (recording.first_row, part.first_row, part[1:].first_row, recording[-2:].first_row) == (0, 1, 2, 3)


def test_missing_values_are_kept():
    assert np.isnan(Recording(np.array([[1.0, np.nan]]), "a.csv").x[0, 1])
    masked = Recording(np.ma.array([[1, -999]], mask=[[False, True]]), "a.csv").x
    assert not isinstance(masked, np.ma.MaskedArray)
    assert masked[0, 0] == 1
    assert np.isnan(masked[0, 1])


@pytest.mark.parametrize(
    ("x", "others", "message"),
    [
        (np.zeros(3), {}, r"expected numbers \(rows, channels\). Received: float64, shape \(3,\)"),
        (np.zeros((0, 2)), {}, r"shape \(0, 2\)"),
        (np.array([["a"]]), {}, "expected numbers"),
        ([[1.0], [np.inf]], {}, "row 1, channel 0 .*found inf"),
        ([[1.0], [1e39]], {}, "row 1, channel 0"),
        ([[1.0], [2.0]], {"label": [0]}, "a.csv: labels must have one entry for each of the 2 rows"),
        ([[1.0], [2.0]], {"label": [0, 2]}, r"a.csv: labels must be 0 \(normal\) or 1 \(abnormal\). Received: 2 for row 1"),
        ([[1.0], [2.0]], {"label": [0, None]}, "none for row 1"),
        ([[1.0], [2.0]], {"time": [0]}, "expected a time for each of 2 rows"),
        ([[1.0], [2.0]], {"time": [3, 3]}, r"row 1 \(from 0\): a repeated time, 3 after 3"),
        ([[1.0], [2.0]], {"time": [3, 2.5]}, r"row 1 \(from 0\): a time that does not rise, 2.5 after 3.0"),
        ([[1.0], [2.0]], {"time": [3, np.nan]}, "does not rise, nan after 3.0"),
        ([[1.0], [2.0]], {"time": np.array(["2020-01-02", "2020-01-01"], "datetime64[s]")}, "2020-01-01.* after 2020-01-02"),
    ],
)
def test_errors(x, others, message):
    with pytest.raises(DataError, match=message):
        Recording(x, "a.csv", **others)


def test_labels_of_windows():
    labels = np.array([0, 0, 0, 0, 1, 0, 0, 0, 0, 0])
    rows = np.array([0, 1, 4, 5, 6])
    assert window_labels(labels, rows, 4).tolist() == [False, True, True, False, False]
    assert not window_labels(None, rows, 4).any()
