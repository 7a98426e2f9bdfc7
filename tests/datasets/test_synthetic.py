"""Synthetic recordings: their format, and the dynamics of abnormal activities."""

import numpy as np
import pytest

from amsl_tf.datasets.dsads import ABNORMAL, NORMAL
from amsl_tf.datasets.synthetic import make_windows, write_tree
from amsl_tf.errors import AMSLError


def test_tree_and_format(tmp_path):
    assert write_tree(tmp_path / "tree", subjects=2, segments=3) == 19 * 2 * 3
    rows = (tmp_path / "tree/a19/p2/s03.txt").read_text().splitlines()
    assert len(rows) == 125
    np.testing.assert_allclose(np.array([row.split(",") for row in rows], float), make_windows("a19", 2, 3)[2], rtol=1e-4)


def test_windows_depend_on_activity_subject_and_seed():
    assert np.array_equal(make_windows("a01", 1, 2, seed=3), make_windows("a01", 1, 2, seed=3))
    for other in (make_windows("a02", 1, 2, 3), make_windows("a01", 2, 2, 3), make_windows("a01", 1, 2, 4)):
        assert not np.allclose(make_windows("a01", 1, 2, seed=3), other)


def dominant_frequency(windows):
    spectrum = np.abs(np.fft.rfft(windows - windows.mean(1, keepdims=True), axis=1)).mean((0, 2))
    return np.argmax(spectrum) * 25 / windows.shape[1]


def test_abnormal_activities_differ_in_frequency_but_not_in_offset_or_amplitude():
    windows = {
        name: [make_windows(activity, 1, 4) for activity in names]
        for name, names in (("normal", NORMAL), ("abnormal", ABNORMAL))
    }
    means = {name: np.array([np.abs(x.mean((0, 1))).mean() for x in arrays]) for name, arrays in windows.items()}
    amplitudes = {name: np.array([x.std(1).mean() for x in arrays]) for name, arrays in windows.items()}
    for values in (means, amplitudes):
        assert values["normal"].min() * 0.5 < values["abnormal"].min()
        assert values["abnormal"].max() < values["normal"].max() * 2
    assert max(map(dominant_frequency, windows["normal"])) < min(map(dominant_frequency, windows["abnormal"]))


def test_existing_data_are_not_replaced(tmp_path):
    (tmp_path / "DASADS/a01").mkdir(parents=True)
    with pytest.raises(AMSLError, match="is not replaced"):
        write_tree(tmp_path / "DASADS", subjects=2, segments=2)
