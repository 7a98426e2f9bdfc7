"""Splits and views of arrays of windows."""

import json

import numpy as np
import pandas as pd
import pytest

from amsl_tf.data.store import TEST_ABNORMAL, TEST_NORMAL, TRAIN, open_windows
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


@pytest.mark.parametrize(("shape", "has_index"), [(None, False), (None, True), ((0, 16, 2), True), ((0,), False)])
def test_normal_windows_alone(source, tmp_path, shape, has_index):
    """Without abnormal.npy, or with one of zero windows and at most the header of a CSV."""
    folder, output = source(subject=["a", "a", "b", "b"]), tmp_path / "views"
    (folder / "abnormal.npy").unlink()
    (folder / "abnormal.csv").unlink()
    if shape is not None:
        np.save(folder / "abnormal.npy", np.zeros(shape, np.float32))
    if has_index:
        (folder / "abnormal.csv").write_text("subject\n")
    assert transform(folder, output) == {"train_normal": 2, "normal": 2, "abnormal": 0}
    assert [item.name for item in (output / "test_dataset").iterdir()] == ["normal data"]
    rows = [pd.read_csv(part.index(output))["row"].tolist() for part in (TRAIN, TEST_NORMAL)]
    assert sorted(rows[0] + rows[1]) == [0, 1, 2, 3]
    np.testing.assert_array_equal(opened(output, TRAIN).x, np.load(folder / "normal.npy")[rows[0]])
    transform(folder, output, protocol="subject", test_subjects=["b"])
    assert opened(output, TRAIN).subject.tolist() == ["a", "a"]
    assert opened(output, TEST_NORMAL).subject.tolist() == ["b", "b"]


def test_either_tree_replaces_the_other(source, tmp_path):
    folder, output = source(subject=["a", "a", "b", "b"]), tmp_path / "views"
    transform(folder, output)
    for kind in ("npy", "csv"):
        (folder / f"abnormal.{kind}").rename(folder / f"former.{kind}")
    for _ in range(2):
        transform(folder, output)
        assert not (output / TEST_ABNORMAL.folder).exists()
    (folder / "former.npy").rename(folder / "abnormal.npy")
    assert transform(folder, output)["abnormal"] == len(opened(output, TEST_ABNORMAL)) == 4


@pytest.mark.parametrize(("without", "known"), [("normal", TEST_ABNORMAL), ("abnormal", TEST_NORMAL)])
def test_metadata_are_unknown_without_a_csv(source, tmp_path, without, known):
    folder = source(subject=["a", "a", "b", "b"])
    (folder / f"{without}.csv").unlink()
    assert transform(folder, tmp_path / "views") == {"train_normal": 2, "normal": 2, "abnormal": 4}
    for part in (TEST_NORMAL, TEST_ABNORMAL):
        assert set(opened(tmp_path / "views", part).columns()) == ({"subject"} if part is known else set())
    with pytest.raises(DataError, match="the protocol subject needs the column subject"):
        transform(folder, tmp_path / "subjects", protocol="subject", test_subjects=["a"])
    assert not (tmp_path / "subjects").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder: (folder / "normal.npy").unlink(), "normal.npy: not found. Run amsl preprocess first"),
        (lambda folder: (folder / "abnormal.npy").unlink(), "abnormal.npy: not found. Run amsl preprocess first"),
        (lambda folder: np.save(folder / "abnormal.npy", np.zeros((0, 16, 2))), "there must be at least 1 window"),
        (lambda folder: np.save(folder / "abnormal.npy", np.float32(1)), r"windows must have shape \(N, T, C\)"),
        (lambda folder: (folder / "normal.csv").write_text(""), "normal.csv: not a CSV file with a header"),
        (lambda folder: (folder / "abnormal.csv").write_text("subject\na\n"), "subject must have one entry for each of the 4"),
    ],
)
def test_files_that_do_not_fit_are_errors(source, tmp_path, change, message):
    """Such as four rows of abnormal.csv and no abnormal windows."""
    folder = source(subject=["a", "a", "b", "b"])
    change(folder)
    with pytest.raises(DataError, match=message):
        transform(folder, tmp_path / "views")
    assert not (tmp_path / "views").exists()
