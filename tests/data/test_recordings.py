"""Reading windows from recordings of any length, and writing tables of scores."""

import sys
import warnings

import numpy as np
import pandas as pd
import pytest

from amsl_tf.data import recordings
from amsl_tf.data.recordings import check_output, cut, read_window, read_windows, write_table
from amsl_tf.errors import AMSLError, DataError


@pytest.fixture
def recording(rng):
    return rng.normal(size=(103, 3)).astype(np.float32)


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(recordings, "ROWS", 10)
    monkeypatch.setattr(recordings, "BATCH", 3)


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


def test_csv_without_header(recording, tmp_path):
    np.savetxt(tmp_path / "recording.csv", recording, delimiter=",")
    np.testing.assert_allclose(rows_of(tmp_path / "recording.csv", header=False), recording, rtol=1e-6)
    named = rows_of(tmp_path / "recording.csv", 1, columns=["2"], header=False)
    np.testing.assert_allclose(named, recording[:, 2:], rtol=1e-6)


def test_csv_with_numbered_columns(recording, tmp_path, caplog):
    """As pandas writes a table without names, with and without its index."""
    file = tmp_path / "recording.csv"
    pd.DataFrame(recording).to_csv(file, index=False)
    np.testing.assert_allclose(rows_of(file), recording, rtol=1e-6)
    assert "is used as column names. Use --no-header" in caplog.text
    pd.DataFrame(recording).to_csv(file)
    np.testing.assert_allclose(rows_of(file, columns=["0", "1", "2"]), recording, rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "content", "columns", "message"),
    [
        ("typo.csv", None, (), "not found"),
        ("typo.npy", None, (), "not found"),
        ("typo.parquet", None, (), "not found"),
        ("a.txt", "x", (), "cannot be read"),
        ("a.csv", "", (), "not a complete table"),
        ("a.csv", "x,y\n1,2\n1,2,3\n", (), "not a complete table"),
        ("a.csv", "x,y\n1,2,3\n4,5,6\n", (), "not a complete table"),
        ("a.csv", "x,y\n", (), "expected at least 1 rows, the length of a window, found 0"),
        ("a.csv", "x,y,z\n1,2,3\n", (), "expected 2 channels, found 3"),
        ("a.csv", "1,2\n3,4\n", (), "Use --no-header"),
        ("a.csv", "5,5\n3,4\n", (), "Use --no-header"),
        ("a.csv", "0.5,\n3,4\n", (), "Use --no-header"),
        ("a.csv", ",0,1\n0,3,4\n", (), "Use --no-header"),
        ("a.csv", "time,x\n10:00,2\n", (), "column time, row 0 .from 0.: expected a number, found '10:00'"),
        ("a.csv", "x,y\n" + 12 * "1,2\n" + "1,?\n", (), r"column y, row 12 .from 0.: expected a number, found '\?'"),
        ("a.csv", "x,y\nTrue,2\n", (), "column x: expected numbers, found bool"),
        ("a.csv", "x,y\n1,2\n", ("z",), "no column z; there are x, y"),
        ("a.npy", "x", (), "not a complete .npy"),
        ("a.parquet", "x", (), "not a complete table"),
    ],
)
def test_invalid_files_are_errors(name, content, columns, message, tmp_path):
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=message):
        list(read_windows(tmp_path / name, (1, 2), columns=columns))


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_channels_are_selected_by_name(recording, suffix, tmp_path):
    file = tmp_path / f"recording{suffix}"
    table = pd.DataFrame(recording, columns=["z", "x", "y"]).assign(time=range(len(recording)))
    table.to_csv(file, index=False) if suffix == ".csv" else table.to_parquet(file)
    np.testing.assert_array_equal(rows_of(file, names=["x", "y", "z"]), recording[:, [1, 2, 0]])
    np.testing.assert_array_equal(rows_of(file, columns=["z", "x", "y"], names=["a", "b", "c"]), recording)
    with pytest.raises(DataError, match=r"no column a, a channel of the detector; there are z, x, y, time\. Name the channels"):
        rows_of(file, names=["a", "x", "y"])


def test_names_may_be_numbers(recording, tmp_path):
    pd.DataFrame(recording, columns=["3", "1", "2"]).to_csv(tmp_path / "a.csv", index=False)
    np.testing.assert_allclose(rows_of(tmp_path / "a.csv", names=["1", "2", "3"]), recording[:, [1, 2, 0]], rtol=1e-6)


def test_invalid_column_selected_twice_is_an_error(tmp_path):
    (tmp_path / "a.csv").write_text("time,x\n10:00,2\n")
    with pytest.raises(DataError, match="column time, row 0"):
        rows_of(tmp_path / "a.csv", 2, columns=["time", "time"])


def test_unnamed_columns_are_channels_in_order(recording, tmp_path):
    np.savetxt(tmp_path / "a.csv", recording, delimiter=",")
    np.testing.assert_allclose(rows_of(tmp_path / "a.csv", header=False, names=["a", "b", "c"]), recording, rtol=1e-6)


def test_missing_pyarrow_is_an_error(recording, tmp_path, monkeypatch):
    pd.DataFrame(recording, columns=["x", "y", "z"]).to_parquet(tmp_path / "a.parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(AMSLError, match=r"^Parquet needs pyarrow .* Run pip install 'amsl_tf\[serving\]'\."):
        rows_of(tmp_path / "a.parquet")


def test_overflow_is_infinite_without_a_warning(tmp_path):
    (tmp_path / "a.csv").write_text("x\n1e300\n")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert rows_of(tmp_path / "a.csv", 1) == np.inf


def test_invalid_arrays_are_errors(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((5, 2)))
    with pytest.raises(DataError, match="Remove --columns"):
        list(read_windows(tmp_path / "a.npy", (1, 2), columns=["x"]))
    with (tmp_path / "b.npy").open("wb") as archive:
        np.savez(archive, np.zeros((5, 2)))
    with pytest.raises(DataError, match="an archive of several"):
        list(read_windows(tmp_path / "b.npy", (1, 2)))
    for array in (np.zeros(5), np.zeros((5, 0)), np.array([["a"]]), np.zeros((2, 2, 2, 2))):
        np.save(tmp_path / "a.npy", array)
        with pytest.raises(DataError, match="expected numbers"):
            list(read_windows(tmp_path / "a.npy", (1, 2)))


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_table_is_written_completely_or_not_at_all(suffix, tmp_path):
    file = tmp_path / f"scores{suffix}"
    parts = [
        {"first_row": np.array([0, 20]), "score": np.float32([0.1, np.nan])},
        {"first_row": np.array([40]), "score": np.float32([7])},
    ]
    write_table(file, parts)
    table = pd.read_csv(file) if suffix == ".csv" else pd.read_parquet(file)
    assert table["first_row"].tolist() == [0, 20, 40]
    np.testing.assert_allclose(table["score"], [0.1, np.nan, 7], rtol=1e-6)
    before = file.read_bytes()

    def interrupted():
        yield parts[1]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_table(file, interrupted())
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]


def test_invalid_outputs_are_errors(tmp_path):
    (tmp_path / "recording.csv").touch()
    (tmp_path / "link.csv").symlink_to("recording.csv")
    (tmp_path / "folder.csv").mkdir()
    check_output(tmp_path / "scores.csv", tmp_path / "recording.csv")
    for name, message in (
        ("scores.txt", "ends in .csv or .parquet"),
        ("recording.csv", "would be overwritten"),
        ("link.csv", "would be overwritten"),
        ("folder.csv", "is a folder"),
    ):
        with pytest.raises(AMSLError, match=message):
            check_output(tmp_path / name, tmp_path / "recording.csv")


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
