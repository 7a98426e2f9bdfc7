"""Reading windows from recordings of any length."""

import warnings

import numpy as np
import pandas as pd
import pytest

from amsl_tf.data import tables, window_reader
from amsl_tf.data.window_reader import cut, read_window, read_windows
from amsl_tf.errors import DataError


@pytest.fixture
def recording(rng):
    return rng.normal(size=(103, 3)).astype(np.float32)


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(window_reader, "ROWS", 10)
    monkeypatch.setattr(tables, "ROWS", 10)
    monkeypatch.setattr(window_reader, "BATCH", 3)


@pytest.mark.parametrize("stride", [1, 7, 20, 33, 200])
@pytest.mark.parametrize("size", [1, 4, 50, 103])
def test_cut_is_independent_of_the_parts(recording, stride, size):
    parts = (recording[start : start + size] for start in range(0, 103, size))
    batches = list(cut(parts, 20, stride))
    rows = list(range(0, 103 - 20 + 1, stride))
    assert np.concatenate([first_rows for first_rows, _ in batches]).tolist() == rows
    np.testing.assert_array_equal(
        np.concatenate([windows for _, windows in batches]), [recording[row : row + 20] for row in rows]
    )
    assert max(len(windows) for _, windows in batches) <= 3


def test_short_recording_has_no_window(recording):
    assert not list(cut([recording[:19]], 20, 1))


def rows_of(file, channels=3, **settings):
    """Reads all rows of a file, as windows of one row."""
    return np.concatenate([windows[:, 0] for _, windows in read_windows(file, (1, channels), **settings)])


@pytest.mark.parametrize("suffix", [".npy", ".csv", ".parquet"])
def test_all_formats_are_equivalent(recording, suffix, tmp_path):
    recording[5, 1] = np.nan
    file = tmp_path / f"recording{suffix}"
    table = pd.DataFrame(recording, columns=["x", "y", "z"])
    if suffix == ".npy":
        np.save(file, recording)
    elif suffix == ".csv":
        table.to_csv(file, index=False)
    else:
        table.to_parquet(file)
    np.testing.assert_array_equal(rows_of(file), recording)
    if suffix != ".npy":
        np.testing.assert_array_equal(rows_of(file, 2, columns=["z", "x"]), recording[:, [2, 0]])


def test_windows_in_an_array(recording, tmp_path):
    windows = recording[:100].reshape(5, 20, 3)
    file = tmp_path / "windows.npy"
    np.save(file, windows)
    batches = list(read_windows(file, (20, 3)))
    assert np.concatenate([rows for rows, _ in batches]).tolist() == [0, 20, 40, 60, 80]
    np.testing.assert_array_equal(np.concatenate([batch for _, batch in batches]), windows)
    with pytest.raises(DataError, match="expected windows of 25 time steps"):
        list(read_windows(file, (25, 3)))
    with pytest.raises(DataError, match="stride 5"):
        list(read_windows(file, (20, 3), 5))


def test_overflow_is_infinite_without_a_warning(tmp_path):
    (tmp_path / "a.csv").write_text("x\n1e300\n")
    with warnings.catch_warnings(), np.errstate(all="raise"):
        warnings.simplefilter("error")
        assert rows_of(tmp_path / "a.csv", 1) == np.inf


def test_subnormal_numbers_are_numbers(tmp_path):
    (tmp_path / "a.csv").write_text("x,y\n1e-42,5e-324\n")
    with np.errstate(all="raise"):
        (row,) = rows_of(tmp_path / "a.csv", 2)
    assert row.tolist() == [np.float32(1e-42), 0]


def test_windows_in_column_order_are_not_loaded(tmp_path, rng, monkeypatch):
    monkeypatch.setattr(window_reader, "ROWS", 40)
    windows = np.asfortranarray(rng.normal(size=(5, 16, 3)))
    np.save(tmp_path / "a.npy", windows)
    sizes, cut_parts = [], window_reader.cut

    def cut_and_count(parts, *shape):
        return cut_parts((sizes.append(len(part)) or part for part in parts), *shape)

    monkeypatch.setattr(window_reader, "cut", cut_and_count)
    found = np.concatenate([batch for _, batch in read_windows(tmp_path / "a.npy", (16, 3))])
    np.testing.assert_array_equal(found, windows.astype(np.float32))
    assert sizes == [32, 32, 16]


def test_invalid_arrays_are_errors(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((5, 2)))
    with pytest.raises(DataError, match="Remove --columns"):
        list(read_windows(tmp_path / "a.npy", (1, 2), columns=["x"]))
    with (tmp_path / "b.npy").open("wb") as archive:
        np.savez(archive, np.zeros((5, 2)))
    with pytest.raises(DataError, match=r"a zip archive, such as .npz"):
        list(read_windows(tmp_path / "b.npy", (1, 2)))
    np.save(tmp_path / "a.npy", np.zeros((5, 4)))
    message = r"expected 2 channels, found 4: shape \(5, 4\)\. Save an array whose last axis has the 2 channels of the"
    with pytest.raises(DataError, match=message):
        list(read_windows(tmp_path / "a.npy", (1, 2)))
    (tmp_path / "b.npy").write_bytes((tmp_path / "a.npy").read_bytes()[:-8])
    with pytest.raises(DataError, match=r"not a complete .npy file of numbers .*\. Save it again with numpy.save"):
        list(read_windows(tmp_path / "b.npy", (1, 4)))
    for array in (np.zeros(5), np.zeros((5, 0)), np.array([["a"]]), np.zeros((2, 2, 2, 2))):
        np.save(tmp_path / "a.npy", array)
        with pytest.raises(DataError, match="expected numbers"):
            list(read_windows(tmp_path / "a.npy", (1, 2)))


@pytest.mark.parametrize("number", [0, 63, 64, 150])
def test_read_window(tmp_path, rng, number):
    rows = rng.normal(size=(16 + 3 * 150, 2)).astype(np.float32)
    np.save(tmp_path / "recording.npy", rows)
    row, window = read_window(tmp_path / "recording.npy", number, (16, 2), 3)
    assert row == 3 * number
    np.testing.assert_array_equal(window, rows[row : row + 16])
    with pytest.raises(DataError, match=r"no window 151\. There are 151"):
        read_window(tmp_path / "recording.npy", 151, (16, 2), 3)


@pytest.mark.parametrize("stride", [0, -3])
def test_stride_below_one_is_rejected(tmp_path, stride):
    np.save(tmp_path / "a.npy", np.zeros((50, 2)))
    with pytest.raises(DataError, match=f"stride must be at least 1. Received: {stride}"):
        list(read_windows(tmp_path / "a.npy", (16, 2), stride))
