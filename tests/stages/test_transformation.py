"""Splits and views of arrays of windows."""

import json

import numpy as np
import pandas as pd
import pytest

from amsl_tf.data.store import TEST_NORMAL, TRAIN, open_windows
from amsl_tf.errors import DataError
from amsl_tf.stages.transformation import transform


@pytest.fixture
def source(rng, tmp_path):
    def write(**columns):
        for kind in ("normal", "abnormal"):
            np.save(tmp_path / f"{kind}.npy", rng.normal(size=(4, 16, 2)).astype(np.float32))
            pd.DataFrame(columns).to_csv(tmp_path / f"{kind}.csv", index=False)
        return tmp_path

    return write


def opened(folder, part):
    return open_windows(part.file(folder, "raw"), part.index(folder), "")


@pytest.mark.parametrize(
    ("subjects", "test_subject", "expected"),
    [
        (["1", "1", "2", "3"], "1", ["1"]),
        (["p1", "p1", "p2", "p3"], "1", ["p1"]),
        (["p1", "p1", "p2", "p3"], "p1", ["p1"]),
        (["1", "1", "p1", "3"], "1", ["1"]),
    ],
)
def test_subjects_by_name_and_by_number(source, tmp_path, subjects, test_subject, expected):
    output = tmp_path / "views"
    transform(source(subject=subjects), output, protocol="subject", test_subjects=[test_subject])
    assert set(opened(output, TEST_NORMAL).subject) == set(expected)
    assert json.loads((output / "split.json").read_text())["test_subjects"] == expected


def test_unknown_subject_is_an_error(source, tmp_path):
    with pytest.raises(DataError, match="test subject 9 does not occur; there are 1, 2"):
        transform(source(subject=[1, 1, 2, 2]), tmp_path / "views", protocol="subject", test_subjects=["9"])


def test_different_window_shapes_are_an_error(source, tmp_path):
    folder = source(subject=["a", "a", "b", "b"])
    np.save(folder / "abnormal.npy", np.zeros((4, 16, 3), np.float32))
    with pytest.raises(DataError, match=r"normal.npy and abnormal.npy, found \(16, 2\) and \(16, 3\)"):
        transform(folder, tmp_path / "views")


def test_other_columns_are_ignored(source, tmp_path):
    """Also a column `x`, the name of the array of windows; the index still has a row for each window."""
    folder = source(id=range(4), x=range(4))
    transform(folder, tmp_path / "views")
    windows = opened(tmp_path / "views", TRAIN)
    assert not windows.columns()
    rows = pd.read_csv(TRAIN.index(tmp_path / "views"))["row"]
    np.testing.assert_array_equal(windows.x, np.load(folder / "normal.npy")[rows])
