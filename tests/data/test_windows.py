"""Windows and their validation."""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest

from amsl_tf.data.windows import Windows, check_labels, check_windows, chunks, number_windows
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
        (None, r"shape=\(\)"),
        (np.ones((2, 16, 3), bool), "real numbers.*dtype=bool. Convert them"),
    ],
)
def test_invalid_windows_are_errors(x, message):
    with pytest.raises(DataError, match=message):
        check_windows(x)


def masked_windows(dtype=np.float32):
    windows = np.ma.array(np.ones((3, 16, 2)), dtype, mask=False)
    windows[1, 5, 0] = np.ma.masked
    return windows


def test_masked_array_without_masked_values_is_its_data():
    windows = np.ma.masked_invalid(np.ones((2, 16, 3), np.float32))
    checked = check_windows(windows)
    assert type(checked) is np.ndarray
    np.testing.assert_array_equal(checked, np.ones((2, 16, 3)))
    assert np.shares_memory(checked, windows.data)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, object])
@pytest.mark.parametrize("convert", [lambda windows: windows, list])
def test_masked_values_are_missing(dtype, convert):
    windows = convert(masked_windows(dtype))
    with pytest.raises(DataError, match=r"masked array, with a masked value in window 1, time step 5, channel 0 .*Fill"):
        check_windows(windows)
    checked = check_windows(windows, finite=False)
    assert np.argwhere(np.isnan(checked)).tolist() == [[1, 5, 0]]
    assert checked.dtype == np.float32
    assert masked_windows(dtype).data[1, 5, 0] == 1


def test_value_under_the_mask_may_be_anything():
    windows = masked_windows(object)
    windows.data[1, 5, 0] = "?"
    assert np.isnan(check_windows(windows, finite=False)[1, 5, 0])


def test_objects_become_numbers():
    numbers = [Decimal("0.1"), Fraction(1, 3), 10**400, -(10**400), Decimal("-1e400"), None, pd.NA, np.int8(3)]
    expected = [0.1, 1 / 3, np.inf, -np.inf, -np.inf, np.nan, np.nan, 3]
    windows = np.full((1, 16, len(numbers)), 1, object)
    windows[0, 7] = numbers
    np.testing.assert_array_equal(check_windows(windows, finite=False)[0, 7], np.float32(expected))
    with pytest.raises(DataError, match="Received: inf in window 0, time step 7, channel 2"):
        check_windows(windows)


@pytest.mark.parametrize("value", ["x", "1", True, np.True_, 1j, [1], pd.Timestamp(0), b"1"])
def test_error_names_the_first_object_that_is_no_number(value):
    windows = np.full((3, 16, 2), 1, object)
    windows[2, 4, 1] = windows[2, 5, 0] = value
    with pytest.raises(DataError, match=r"real numbers. Received: .* in window 2, time step 4, channel 1 .*Convert it"):
        check_windows(windows, finite=False)


def test_tables_of_equal_length_are_windows():
    table = pd.DataFrame({"x": range(16), "y": np.arange(16) / 4})
    expected = np.float32([table, table])
    np.testing.assert_array_equal(check_windows([table, table]), expected)
    table["y"] = table["y"].convert_dtypes()
    np.testing.assert_array_equal(check_windows([table, table]), expected)
    table.loc[3, "y"] = pd.NA
    with pytest.raises(DataError, match="Received: nan in window 0, time step 3, channel 1"):
        check_windows([table, table])


def test_subnormal_numbers_are_numbers():
    windows = np.full((2, 16, 1), 1e-42)
    windows[0, 0] = 5e-324  # rounded to zero
    with np.errstate(all="raise"):
        checked = check_windows(windows)
    np.testing.assert_array_equal(checked, windows.astype(np.float32))
    assert checked[1, 0, 0] > 0


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
        (np.ma.array([3, 4], mask=[False, True]), "none for window 1"),
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


def test_equal_windows_have_equal_numbers(rng):
    x = rng.normal(size=(300, 16, 2)).astype(np.float32)
    x[299], x[7] = x[3], x[3]
    x[10], x[11] = 1.0, 1.0  # constant over time
    x[12, :, 0] = 1.0
    numbers = number_windows(x)
    assert numbers[299] == numbers[7] == numbers[3]
    assert len(set(numbers)) == 298
    assert numbers[10] != numbers[11]
