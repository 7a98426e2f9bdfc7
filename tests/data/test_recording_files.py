"""Files of recordings."""

import os

import numpy as np
import pandas as pd
import pytest

from amsl_tf.data import array_files, tables
from amsl_tf.data.reading import Reading
from amsl_tf.data.recording_files import find_files, open_recording
from amsl_tf.errors import AMSLError, DataError

TIMES = pd.date_range("2024-01-01", periods=103, freq="20ms")
LABELS = np.arange(103) // 60


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(tables, "ROWS", 10)
    monkeypatch.setattr(array_files, "ROWS", 10)


@pytest.fixture
def recording(rng):
    x = rng.normal(size=(103, 3))
    x[5, 1] = np.nan
    return x


def write(folder, recording, suffix):
    """Writes a recording with times and labels in a format."""
    file = folder / f"recording{suffix}"
    frame = pd.DataFrame(recording, columns=["x", "y", "z"]).assign(label=LABELS)
    if suffix == ".npz":
        np.savez(file, x=recording, time=TIMES.to_numpy(), label=LABELS, channel_names=["x", "y", "z"])
    elif suffix == ".parquet":
        frame.set_index(TIMES).to_parquet(file)
    elif suffix == ".column.parquet":
        frame.assign(when=TIMES).to_parquet(file)
    elif suffix == ".folder.parquet":
        file.mkdir()
        for number, start in ((2, 0), (10, 50)):
            frame.assign(when=TIMES)[start : start + (50 if not start else 53)].to_parquet(file / f"part-{number}.parquet")
        (file / "_metadata").write_text("of others")
    elif suffix == ".semicolons.csv":
        frame.assign(when=TIMES).to_csv(file, sep=";", decimal=",", index=False)
    else:
        frame.set_index(TIMES).to_csv(file)
    return file


@pytest.mark.parametrize(
    "suffix",
    [".csv", ".csv.gz", ".csv.bz2", ".CSV.XZ", ".semicolons.csv", ".parquet", ".column.parquet", ".folder.parquet", ".npz"],
)
def test_all_formats_are_equivalent(recording, suffix, tmp_path):
    file = write(tmp_path, recording, suffix)
    reading = Reading(label="label", time="when" if suffix == ".semicolons.csv" else "")
    for names in ((), ("x", "y", "z"), ("z", "x")):
        opened = open_recording(file, reading, names)
        assert opened.channel_names == (names or ("x", "y", "z"))
        assert (opened.name, opened.time_zone, opened.window_steps) == (str(file), None, None)
        for _ in range(2):
            parts = list(opened.parts())
            assert max(map(len, parts)) <= 10
            assert np.concatenate([part.row for part in parts]).tolist() == list(range(103))
            order = ["xyz".index(name) for name in opened.channel_names]
            x = np.concatenate([part.x for part in parts])
            np.testing.assert_allclose(x, recording[:, order], rtol=1e-12)
            np.testing.assert_array_equal(np.concatenate([part.time for part in parts]), TIMES.to_numpy())
            np.testing.assert_array_equal(np.concatenate([part.label for part in parts]), LABELS)


@pytest.mark.parametrize(
    ("suffix", "name"),
    [(".csv", ""), (".semicolons.csv", "when"), (".parquet", "index"), (".column.parquet", "when"), (".npz", "time")],
)
def test_column_of_times_has_a_name(recording, suffix, name, tmp_path):
    file = write(tmp_path, recording, suffix)
    assert open_recording(file, Reading(label="label")).time_name == name
    assert open_recording(file, Reading(label="label", time="none", columns=["x"])).time_name is None


def test_format_of_times_in_archives(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.ones((2, 1)), time=["01/02/2024", "02/02/2024"])
    (rows,) = open_recording(tmp_path / "a.npz", Reading(time_format="%d/%m/%Y")).parts()
    assert rows.time.astype("M8[D]").astype(str).tolist() == ["2024-02-01", "2024-02-02"]


def test_blank_lines_are_rows_without_values(tmp_path):
    (tmp_path / "a.csv").write_text("time,x,label\n2024-01-01,1,0\n\n2024-01-03,3,1\n\n")
    (rows,) = open_recording(tmp_path / "a.csv", Reading(label="label")).parts()
    assert np.isnat(rows.time).tolist() == [False, True, False]
    assert np.isnan(rows.x[:, 0]).tolist() == [False, True, False]
    assert rows.label.tolist() == [0, 0, 1]


def test_csv_without_header(recording, tmp_path):
    np.savetxt(tmp_path / "a.csv", recording, delimiter=",")
    opened = open_recording(tmp_path / "a.csv", Reading(header=False))
    assert opened.channel_names == ("channel 0", "channel 1", "channel 2")
    np.testing.assert_allclose(np.concatenate([rows.x for rows in opened.parts()]), recording, rtol=1e-12)
    opened = open_recording(tmp_path / "a.csv", Reading(header=False), ["x", "y", "z"])
    assert opened.channel_names == ("x", "y", "z")
    opened = open_recording(tmp_path / "a.csv", Reading(header=False, columns=["2"]))
    np.testing.assert_allclose(np.concatenate([rows.x for rows in opened.parts()]), recording[:, 2:], rtol=1e-12)


def test_header_without_the_option_is_named(tmp_path):
    (tmp_path / "a.csv").write_text("x,y\n1,2\n")
    with pytest.raises(DataError, match=r"column channel 0, row 0 .* found 'x'.*; remove --no-header if it is a name"):
        list(open_recording(tmp_path / "a.csv", Reading(header=False)).parts())


def test_format_of_the_times_is_that_of_the_first_part(tmp_path):
    """Day and month cannot be told apart in the later parts."""
    times = pd.date_range("2024-01-31", periods=25, freq="D").strftime("%d/%m/%Y")
    (tmp_path / "a.csv").write_text("time,x\n" + "".join(f"{time},1\n" for time in times))
    found = np.concatenate([rows.time for rows in open_recording(tmp_path / "a.csv").parts()])
    assert found[1].astype("M8[D]") == np.datetime64("2024-02-01")
    assert (np.diff(found) == np.timedelta64(1, "D")).all()


def test_later_parts_are_checked(tmp_path):
    lines = [f"2024-01-01 00:00:{second:02}+01:00,1" for second in range(25)]
    file = tmp_path / "a.csv"
    for broken, message in (
        ("2024-01-01 00:00:22Z,1", r"found \+01:00 in row 0 and UTC in row 22"),
        ("x,1", "column time, row 22 .from 0.: expected a time"),
        ("2024-01-01 00:00:22+01:00,?", "column x, row 22 .from 0.: expected a number"),
    ):
        file.write_text("\n".join(["time,x", *lines[:22], broken, *lines[23:]]))
        opened = open_recording(file)
        assert opened.time_zone == "+01:00"
        parts = opened.parts()
        assert len(next(parts)) == 10
        with pytest.raises(DataError, match=f"^{file}: .*{message}"):
            list(parts)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16])
def test_arrays(dtype, tmp_path, rng):
    windows = (100 * rng.normal(size=(5, 16, 3))).astype(dtype)
    np.save(tmp_path / "rows.npy", windows.reshape(80, 3))
    np.save(tmp_path / "windows.npy", windows)
    np.save(tmp_path / "columns.npy", np.asfortranarray(windows))
    for name, steps in (("rows.npy", None), ("windows.npy", 16), ("columns.npy", 16)):
        opened = open_recording(tmp_path / name)
        assert opened.channel_names == ("channel 0", "channel 1", "channel 2")
        assert opened.window_steps == steps
        parts = list(opened.parts())
        assert max(map(len, parts)) <= 16
        np.testing.assert_array_equal(np.concatenate([part.x for part in parts]), windows.reshape(80, 3))
        assert parts[0].x.dtype == (np.float32 if dtype == np.float32 else np.float64)
        assert np.concatenate([part.row for part in parts]).tolist() == list(range(80))
        assert parts[0].time is None
    assert open_recording(tmp_path / "rows.npy", names=["a", "b", "c"]).channel_names == ("a", "b", "c")


def test_archives(tmp_path):
    x, file = np.arange(6.0).reshape(3, 2), tmp_path / "a.npz"
    np.savez(file, x)
    (rows,) = open_recording(file).parts()
    np.testing.assert_array_equal(rows.x, x)
    np.savez(file, x=x, channel_names=["a", "b"], time=["2024-01-01T00Z", "2024-01-02T00Z", "2024-01-03T00Z"])
    assert open_recording(file, Reading(columns=["b"])).channel_names == ("b",)
    assert open_recording(file, Reading(time="none")).time_zone is None


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (
            {"a": np.ones((3, 2)), "b": np.ones((3, 2))},
            "expected one array, or x with time, label, channel_names .* Found: a, b",
        ),
        ({"x": np.ones((3, 2)), "y": np.ones(3)}, "Found: x, y"),
        ({"x": np.array([[{}]], object)}, "not a complete .npz file"),
        ({"x": np.ones((3, 2)), "time": np.ones(2)}, "time must have a value for each of 3 rows"),
        ({"x": np.ones((3, 2)), "label": [0, 1, 2]}, "column label, row 2 .from 0.: expected a label"),
        ({"x": np.ones((3, 2)), "channel_names": ["a"]}, "channel_names must be 2 different names"),
        ({"x": np.ones((3, 2)), "channel_names": ["a", "a"]}, "channel_names must be 2 different names"),
        ({"x": np.ones((3, 2)), "channel_names": ["a", "c"]}, "missing: b; new: c"),
    ],
)
def test_invalid_archives_are_errors(arrays, message, tmp_path):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(DataError, match=message):
        list(open_recording(tmp_path / "a.npz", names=["a", "b"] if message.startswith("missing") else ()).parts())


def test_invalid_arrays_are_errors(tmp_path):
    file = tmp_path / "a.npy"
    np.save(file, np.zeros((5, 4)))
    for reading in ({"columns": ["x"]}, {"drop": ["x"]}, {"time": "x"}, {"label": "x"}):
        with pytest.raises(DataError, match=f"an array has no named columns. Remove --{next(iter(reading))}"):
            open_recording(file, Reading(**reading))
    message = r"expected 2 channels, found 4: shape \(5, 4\)\. Save an array whose last axis has the 2 channels of the"
    with pytest.raises(DataError, match=message):
        open_recording(file, names=["x", "y"])
    (tmp_path / "b.npy").write_bytes(file.read_bytes()[:-8])
    with pytest.raises(DataError, match=r"not a complete .npy file of numbers .*\. Save it again with numpy.save"):
        open_recording(tmp_path / "b.npy")
    for array in (np.zeros(5), np.zeros((5, 0)), np.array([["a"]]), np.zeros((2, 2, 2, 2)), np.zeros((0, 2))):
        np.save(file, array)
        with pytest.raises(DataError, match=r"expected (rows of )?numbers"):
            open_recording(file)


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".parquet", ".folder.parquet", ".npz"])
def test_file_that_changes_is_an_error(recording, suffix, tmp_path):
    file = write(tmp_path, recording, suffix)
    changed = file / "part-2.parquet" if file.is_dir() else file
    parts = open_recording(file).parts()
    next(parts)
    size, changed_at = changed.stat().st_size, changed.stat().st_mtime_ns
    os.utime(changed, ns=(changed_at, changed_at + 10**9))
    with pytest.raises(DataError, match=f"^{file}: has changed while it was read. Wait until it is complete, or copy it"):
        list(parts)
    opened = open_recording(file)
    parts = opened.parts()
    next(parts)
    with changed.open("ab") as appended:
        appended.write(b"5,")
    assert changed.stat().st_size == size + 2
    with pytest.raises(DataError, match="has grown while it was read"):
        list(parts)


def test_part_of_a_line_in_a_growing_file_is_named_as_such(tmp_path):
    file = tmp_path / "a.csv"
    file.write_text("x,y\n" + "1,2\n" * 50)
    opened = open_recording(file)
    with file.open("a") as appended:
        appended.write("1,2\n3,?")
    with pytest.raises(DataError, match="has grown while it was read"):
        list(opened.parts())


def test_parts_of_a_folder_have_the_same_columns(tmp_path):
    folder = tmp_path / "a.parquet"
    folder.mkdir()
    with pytest.raises(DataError, match="expected Parquet files in the folder, found none"):
        open_recording(folder)
    pd.DataFrame({"x": [1.0], "y": [2.0]}).to_parquet(folder / "1.parquet")
    pd.DataFrame({"y": [1.0], "x": [2.0]}).to_parquet(folder / "2.parquet")
    with pytest.raises(DataError, match=r"expected the same columns in all parts, found others from row 1 .from 0.: y, x"):
        list(open_recording(folder).parts())


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("typo.csv", None, "not found"),
        ("typo.npy", None, "not found"),
        ("typo.parquet", None, "not found"),
        ("a.txt", "x", "expected a file that ends in"),
        ("a.csv", "", "the file is empty"),
        ("a.npy", "x", "expected the content of a .npy file"),
        ("a.parquet", "x", "expected the content of a .parquet file"),
    ],
)
def test_invalid_files_are_errors(name, content, message, tmp_path):
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=message):
        open_recording(tmp_path / name)


def test_empty_parquet_is_an_error(tmp_path):
    pd.DataFrame({"x": np.zeros(0)}).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(DataError, match="expected rows of numbers, found none"):
        open_recording(tmp_path / "a.parquet")


@pytest.fixture
def folder(tmp_path):
    for name in (
        "s10.csv",
        "s2.csv.gz",
        "s1.npy",
        "readme.txt",
        ".s3.csv",
        "_s4.csv",
        "a/x.npz",
        ".git/x.csv",
        "b.parquet/1.parquet",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    return tmp_path


def test_files_are_found_in_natural_order(folder):
    def found(*paths):
        return [file.relative_to(folder).as_posix() for file in find_files(paths)]

    assert found(folder) == ["a/x.npz", "b.parquet", "s1.npy", "s2.csv.gz", "s10.csv"]
    assert found(f"{folder}/s*.csv*") == ["s2.csv.gz", "s10.csv"]
    assert found(folder / "s10.csv", folder / "a", folder / "s10.csv", folder) == [
        "s10.csv", "a/x.npz", "b.parquet", "s1.npy", "s2.csv.gz",
    ]  # fmt: skip
    assert found(folder / "readme.txt", folder / ".s3.csv") == ["readme.txt", ".s3.csv"]  # what is named is not filtered
    assert found(f"{folder}/**/x.*") == ["a/x.npz"]


def write_partitions(root):
    """Writes a Hive table with two keys of three partitions, and a folder that is named like one."""
    for name, value in (
        ("machine=2/day=1/part-0", 1),
        ("machine=2/day=1/part-10", 3),
        ("machine=2/day=1/part-2", 2),
        ("machine=2/day=2/part-0", 4),
        ("machine=10/day=1/part-0", 5),
        ("=5/a", 6),
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        pd.DataFrame({"x": [float(value)]}).to_parquet(root / f"{name}.parquet")
    (root / "machine=2/_SUCCESS").touch()
    (root / "kind=text").mkdir()
    (root / "kind=text/b.csv").write_text("x\n7\n")


def test_partitions_are_recordings(tmp_path):
    write_partitions(tmp_path)
    found = find_files([tmp_path])
    assert [file.relative_to(tmp_path).as_posix() for file in found] == [
        "=5/a.parquet", "kind=text/b.csv", "machine=2/day=1", "machine=2/day=2", "machine=10/day=1",
    ]  # fmt: skip
    values = [np.concatenate([rows.x[:, 0] for rows in open_recording(file).parts()]).tolist() for file in found]
    assert values == [[6], [7], [1, 2, 3], [4], [5]]
    assert find_files([f"{tmp_path}/*/day=1"]) == [tmp_path / "machine=2/day=1", tmp_path / "machine=10/day=1"]
    with pytest.raises(DataError, match="machine=2: expected a regular file, found a folder"):
        open_recording(tmp_path / "machine=2")


def test_folder_of_parquet_with_partitions_is_one_recording(tmp_path):
    write_partitions(tmp_path / "a.parquet")
    assert find_files([tmp_path]) == [tmp_path / "a.parquet"]
    values = [rows.x[:, 0] for rows in open_recording(tmp_path / "a.parquet").parts()]
    assert np.concatenate(values).tolist() == [6, 1, 2, 3, 4, 5]


def test_links_in_a_circle_are_not_followed(folder):
    (folder / "a/up").symlink_to(folder)
    (folder / "link.csv").symlink_to(folder / "s10.csv")
    assert [file.name for file in find_files([folder])] == ["x.npz", "b.parquet", "link.csv", "s1.npy", "s2.csv.gz"]


def test_name_with_a_star_is_a_file(tmp_path):
    (tmp_path / "a*.csv").write_text("x")
    (tmp_path / "ab.csv").write_text("x")
    assert find_files([tmp_path / "a*.csv"]) == [tmp_path / "a*.csv"]


def test_nothing_found_is_an_error(folder):
    (folder / "empty").mkdir()
    for path in (folder / "empty", folder / "*.xyz"):
        with pytest.raises(
            DataError, match=r"expected recordings that end in .npy, .npz, .csv.*, found none. Name another path"
        ):
            find_files([path])
    with pytest.raises(DataError, match=r"typo: not found. Name files that end in .*, or folders of them"):
        find_files([folder / "typo"])
    with pytest.raises(DataError, match=r"typo.csv: not found"):
        find_files([folder / "typo.csv"])
    with pytest.raises(DataError, match="expected recordings, found none"):
        find_files([])
    with pytest.raises(AMSLError, match="looks like a URL"):
        find_files(["https://example.org/a.csv"])
