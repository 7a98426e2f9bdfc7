"""Windows and their validation."""

import numpy as np
import pandas as pd
import pytest

from amsl_tf.data.windows import Windows, check_labels, check_windows, chunks
from amsl_tf.errors import DataError


def test_numbers_become_float32():
    for dtype in ("float64", "float16", "int64", "uint8"):
        assert check_windows(np.ones((2, 16, 3), dtype)).dtype == np.float32
    assert check_windows([[[1, 2]] * 16]).shape == (1, 16, 2)


def test_memory_mapped_array_is_not_loaded(tmp_path):
    np.save(tmp_path / "x.npy", np.ones((2, 16, 3), np.float32))
    assert isinstance(check_windows(np.load(tmp_path / "x.npy", mmap_mode="r")), np.memmap)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.ones((16, 3)), r"\(N, T, C\).*Received: shape=\(16, 3\)"),
        (np.ones((0, 16, 3)), "at least 1 window;"),
        (np.ones((2, 16, 0)), "at least 1 channel"),
        (np.ones((2, 15, 3)), "at least 16 time steps; the order is"),
        (np.full((2, 16, 3), "a"), "real numbers"),
        (np.ones((2, 16, 3), complex), "real numbers"),
        ([[[1, 2], [3]]], "one array"),
        (np.ma.masked_invalid(np.full((2, 16, 3), np.nan)), "masked"),
        (None, r"shape=\(\)"),
    ],
)
def test_invalid_windows_are_errors(x, message):
    with pytest.raises(DataError, match=message):
        check_windows(x)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300, -2e30])
def test_error_names_the_first_value_that_is_not_finite(value):
    x = np.ones((600, 16, 3))
    x[513, 7, 2] = value
    with pytest.raises(DataError, match="window 513, time step 7, channel 2"):
        check_windows(x)


def test_unexpected_shape_is_an_error():
    with pytest.raises(DataError, match=r"\(N, 16, 4\).*shape=\(2, 16, 3\)"):
        check_windows(np.ones((2, 16, 3)), (16, 4))


def test_length_of_metadata_is_validated():
    windows = Windows(np.ones((2, 16, 3)), subject=["p1", "p2"])
    assert windows.columns().keys() == {"subject"}
    assert len(windows) == 2
    with pytest.raises(DataError, match=r"subject must have one entry for each of the 2 windows. Received: shape=\(3,\)"):
        Windows(np.ones((2, 16, 3)), subject=["p1", "p2", "p3"])


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([1.0, np.nan], "none for window 1"),
        (["a", None], "none for window 1"),
        (["a", np.nan], "none for window 1"),
        (["a", pd.NA], "none for window 1"),
        ([3, "a"], "all of one type"),
        (np.array([3, "a"], object), "all of one type"),
    ],
)
def test_missing_and_mixed_labels_are_errors(labels, message):
    with pytest.raises(DataError, match=message):
        check_labels("groups", labels, 2)


def test_chunks_cover_all_rows_once():
    parts = list(chunks(np.arange(10), 4))
    assert [start for start, _ in parts] == [0, 4, 8]
    np.testing.assert_array_equal(np.concatenate([part for _, part in parts]), np.arange(10))


def test_labels_become_integers():
    for label in ([0, 1], [False, True], ["0", "1"], np.array([0.0, 1.0])):
        windows = Windows(np.ones((2, 16, 3)), label=label)
        assert windows.label.tolist() == [0, 1]
        assert windows.label.dtype == int


@pytest.mark.parametrize("label", [[0, 2], [-1, 1], ["normal", "abnormal"], [0.5, 1]])
def test_invalid_labels_are_errors(label):
    with pytest.raises(DataError, match=r"label must be 0 \(normal\) or 1 \(abnormal\)"):
        Windows(np.ones((2, 16, 3)), label=label)


def test_rows_of_windows_keep_their_metadata():
    windows = Windows(np.arange(3 * 16.0).reshape(3, 16, 1), subject=["a", "b", "c"], label=[0, 1, 0])
    for rows in (slice(1, 3), [1, 2], np.array([False, True, True])):
        some = windows[rows]
        np.testing.assert_array_equal(some.x, windows.x[1:])
        assert some.subject.tolist() == ["b", "c"]
        assert some.label.tolist() == [1, 0]
