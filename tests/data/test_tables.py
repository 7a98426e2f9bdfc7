"""Reading the channels of CSV and Parquet tables."""

import bz2
import csv
import gzip
import io
import lzma
import sys
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from amsl_tf.data import tables
from amsl_tf.data.window_reader import read_window, read_windows
from amsl_tf.errors import AMSLError, DataError


@pytest.fixture
def recording(rng):
    return rng.normal(size=(103, 3)).astype(np.float32)


@pytest.fixture(autouse=True, scope="module")
def small_parts():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "ROWS", 10)
        yield


def rows_of(file, channels=3, **settings):
    """Reads all rows of a file, as windows of one row."""
    return np.concatenate([windows[:, 0] for _, windows in read_windows(file, (1, channels), **settings)])


def write(folder, content, name="a.csv"):
    file = folder / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file


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


def test_unnamed_columns_are_channels_in_order(recording, tmp_path):
    np.savetxt(tmp_path / "a.csv", recording, delimiter=",")
    np.testing.assert_allclose(rows_of(tmp_path / "a.csv", header=False, names=["a", "b", "c"]), recording, rtol=1e-6)


def test_missing_pyarrow_is_an_error(recording, tmp_path, monkeypatch):
    pd.DataFrame(recording, columns=["x", "y", "z"]).to_parquet(tmp_path / "a.parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(AMSLError, match=r"^Parquet needs pyarrow .* Run pip install 'amsl_tf\[serving\]'\."):
        rows_of(tmp_path / "a.parquet")


@pytest.mark.parametrize(
    ("name", "content", "columns", "message"),
    [
        ("typo.csv", None, (), "not found"),
        ("typo.npy", None, (), "not found"),
        ("typo.parquet", None, (), "not found"),
        ("a.txt", "x", (), "expected a file that ends in"),
        ("a.csv", "", (), "found an empty file"),
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
        ("a.csv", "x,y\nTrue,2\n", (), "column x, row 0 .from 0.: expected a number, found True"),
        ("a.csv", "x,y\n1,2\n", ("z",), "no column z; there are x, y"),
        ("a.npy", "x", (), "expected the content of a .npy file"),
        ("a.parquet", "x", (), "expected the content of a .parquet file"),
    ],
)
def test_invalid_files_are_errors(name, content, columns, message, tmp_path):
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=message):
        list(read_windows(tmp_path / name, (1, 2), columns=columns))


NAN = [np.nan, np.nan]


@pytest.mark.parametrize(
    ("content", "header", "expected"),
    [
        ("x,y\n1,2\n\n3,4\n", True, [[1, 2], NAN, [3, 4]]),
        ("x,y\n\n\n1,2\n", True, [NAN, NAN, [1, 2]]),
        ("x,y\n1,2\n  \n\t\n3,4\n", True, [[1, 2], NAN, NAN, [3, 4]]),
        ("x,y\r\n1,2\r\n\r\n3,4\r\n\r\n", True, [[1, 2], NAN, [3, 4]]),
        ("x,y\r1,2\r\r3,4\r\r", True, [[1, 2], NAN, [3, 4]]),
        ("\n \nx,y\n1,2\n", True, [[1, 2]]),
        ("\ufeffx,y\n1,2\n", True, [[1, 2]]),
        ("x,y\n1,2\n\n \n\t\n\n", True, [[1, 2]]),
        ("x,y\n1,2\n,\n\n", True, [[1, 2], NAN]),
        ('x,y\n1,2\n"",""\n\n', True, [[1, 2], NAN]),
        ('x,y\n"1", "2"\n\n 3 , 4 \n', True, [[1, 2], NAN, [3, 4]]),
        ('"x\n\n",y\n1,2\n', True, [[1, 2]]),
        ("x,y\n1,2,\n3,4,\n", True, [[1, 2], [3, 4]]),
        ("x,y\n1\n3,4\n", True, [[1, np.nan], [3, 4]]),
        ("1,2\n\n3,4\n\n", False, [[1, 2], NAN, [3, 4]]),
        ("\n\n1,2\n", False, [NAN, NAN, [1, 2]]),
        ("x,y\n" + "\n" * 25 + "1,2\n" + "\n" * 25, True, [NAN] * 25 + [[1, 2]]),
    ],
)
@pytest.mark.parametrize("compress", [None, gzip.compress, bz2.compress, lzma.compress])
def test_only_blank_lines_at_the_end_are_no_rows(content, header, expected, compress, tmp_path):
    suffixes = {None: "", gzip.compress: ".gz", bz2.compress: ".bz2", lzma.compress: ".XZ"}
    content = content.encode() if compress is None else compress(content.encode())
    file = write(tmp_path, content, f"a.csv{suffixes[compress]}")
    np.testing.assert_array_equal(rows_of(file, 2, header=header), expected)


def test_blank_line_of_one_channel_is_a_row(tmp_path):
    file = write(tmp_path, "x\n" + "1\n" * 20 + "\n" + "2\n" * 43 + "\n\n")
    batches = list(read_windows(file, (32, 1)))
    assert [row for rows, _ in batches for row in rows] == [0, 32]
    assert np.flatnonzero(np.isnan([window for _, windows in batches for window in windows])).tolist() == [20]


NUMBERS = (st.floats(), st.floats(width=32), st.integers(-9, 9), st.integers(-(10**22), 10**22), st.just(np.nan))
BLANK = st.lists(st.sampled_from(["", "  ", "\t"]), max_size=2)


@given(
    data=st.data(),
    channels=st.integers(1, 3),
    count=st.integers(1, 25),
    header=st.booleans(),
    end=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
)
def test_tables_of_pandas_have_the_values_of_pandas(tmp_path_factory, data, channels, count, header, end, quoting):
    columns = [data.draw(st.lists(st.one_of(*NUMBERS), min_size=count, max_size=count)) for _ in range(channels)]
    table = pd.DataFrame(dict(enumerate(columns))).add_prefix("channel ")
    first, *lines = table.to_csv(index=False, quoting=quoting).splitlines()
    rows = [line for row in lines for line in (*data.draw(BLANK), row)]
    expected = pd.read_csv(
        io.StringIO("\n".join(row.strip() for row in rows)), header=None, names=range(channels), skip_blank_lines=False
    )
    file = tmp_path_factory.mktemp("tables") / "a.csv"
    text = end.join([*([*data.draw(BLANK), first] if header else []), *rows, *data.draw(BLANK)])
    file.write_bytes(text.encode())
    with np.errstate(over="ignore"):
        expected = expected.map(lambda cell: np.nan if cell == "" else float(cell)).to_numpy(np.float32)
    np.testing.assert_array_equal(rows_of(file, channels, header=header), expected)


@pytest.mark.parametrize("row", range(25))
def test_cell_too_many_is_an_error_in_any_row(row, tmp_path):
    rows = ["1,2"] * 25
    rows[row] = "1,2,3"
    file = write(tmp_path, "\n".join(["", "x,y", *rows]))
    with pytest.raises(DataError, match=rf"not a complete table \(line {row + 3} has 3 cells, the first line 2\)\. Correct"):
        rows_of(file, 2)


@pytest.mark.parametrize(
    ("content", "header", "message"),
    [
        ("x;y\n1,5;2,5\n", True, "separated by ';'.*sep=';', decimal=','.*index=False"),
        ("x;y\n1.5;2.5\n", True, r"sep=';'\)\.to_csv\('converted.csv', index=False\)\.$"),
        ("day;x;y\n2024-01-01 10:00;1,5;2,5\n", True, "sep=';', decimal=','"),
        ("1;2\n3;4\n", False, r"sep=';', header=None\)\.to_csv\('converted.csv', index=False, header=False\)"),
        ("x\ty\n1\t2\n", True, r"separated by tabs.*sep='\\t'\)"),
        ("x|y\n1|2\n", True, r"separated by '\|'.*sep='\|'\)"),
        ("1.5   2.5\n1.5  3.5\n", False, r"separated by spaces.*sep='\\\\s\+', header=None"),
        ("x y\n1,5 2,5\n", True, "separated by spaces.*decimal=','"),
    ],
)
def test_other_separators_are_named(content, header, message, tmp_path):
    file = write(tmp_path, content)
    with pytest.raises(DataError, match=f"^{file}: expected commas between cells; the lines look .*{message}") as error:
        rows_of(file, 2, header=header)
    conversion = str(error.value).partition("with ")[2].rstrip(".")
    eval(conversion.replace("converted.csv", f"{tmp_path}/converted.csv"), {"pandas": pd})
    names = ["x", "y"] if header else ["0", "1"]
    assert rows_of(tmp_path / "converted.csv", 2, header=header, columns=names if "day" not in content else ["x", "y"]).size


@pytest.mark.parametrize("content", ["x,y\n1, ?\n", "my x,my y\n1,a b\n", "a b\n1\n", 'x,y\n"1;2",3\n', "x,y\n1,2 3\n"])
def test_commas_are_not_taken_for_other_separators(content, tmp_path):
    with pytest.raises(DataError, match=r"expected a number|expected 2 channels"):
        rows_of(write(tmp_path, content), 2)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("x\n1,5\n", "line 2 has 2 cells, the first line 1.*numbers need decimal points"),
        ("\n\n", "expected a table, found blank lines only"),
        ("x,y\n1\x002,4\n", "found NUL bytes: binary data, or text in UTF-16"),
        ("x,y\n1,2\n".encode("utf-16-le"), "found NUL bytes: binary data, or text in UTF-16"),
        ("x °,y\n1,2\n".encode("latin-1"), "expected text in UTF-8, found the byte 0xb0"),
        (("x,y\n" + 10_000 * "1,2\n" + "°,2\n").encode("latin-1"), "expected text in UTF-8, found the byte 0xb0"),
        (b"\x89PNG\r\n\x1a\n", "expected text in UTF-8, found the byte 0x89"),
        ('x,y\n1,2\n"3,4\n', "EOF inside string"),
        ('"' + "x" * 200_000, "not a table .field larger than field limit"),
        ("x,x\n1,2\n", "column x, a channel, occurs 2 times. Give each its own name"),
    ],
)
def test_broken_text_is_an_error(content, message, tmp_path):
    file = write(tmp_path, content)
    with pytest.raises(DataError, match=f"^{file}: .*{message}") as error:
        list(read_windows(file, (1, 2), names=["x", "y"]))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("module", [gzip, bz2, lzma])
@pytest.mark.parametrize("damage", ["cut", "flip"])
def test_damaged_compressed_table_is_an_error(module, damage, recording, tmp_path):
    content = bytearray(module.compress(pd.DataFrame(recording).to_csv(index=False).encode()))
    if damage == "cut":
        del content[-20:]
    else:
        content[-6] ^= 255  # of the checksum
    suffix = {gzip: ".gz", bz2: ".bz2", lzma: ".xz"}[module]
    with pytest.raises(DataError, match=r"cannot be read to its end \(.+\)\. Copy or compress it again"):
        rows_of(write(tmp_path, bytes(content), f"a.csv{suffix}"))


def test_repeated_names_of_other_columns_are_a_warning(tmp_path, caplog):
    file = write(tmp_path, "x,a,y,a,,\n1,2,3,4,,\n")
    assert rows_of(file, 2, columns=["y", "x"]).tolist() == [[3, 1]]
    assert caplog.messages == [f"{file}: the names of some columns occur several times: a."]


def test_channel_named_twice_is_an_error(tmp_path):
    with pytest.raises(DataError, match=r"column x is named twice. Name it once in --columns"):
        rows_of(write(tmp_path, "x,y\n1,2\n"), 2, columns=["x", "x"])


@pytest.mark.parametrize("columns", [(), ("x",)])
def test_messages_name_few_of_many_columns(columns, tmp_path):
    names = ["a" * 50, *(f"column {number}" for number in range(1999))]
    file = write(tmp_path, ",".join(names) + "\n" + ",".join(["1"] * 2000) + "\n")
    message = r"a{40}\.\.\., column 0, .*column 6, \.\.\. \(2,000 in all\)\. Name the"
    with pytest.raises(DataError, match=message) as error:
        rows_of(file, 2, columns=columns)
    assert len(str(error.value)) < 400


def test_column_of_times_is_named_in_the_advice(tmp_path):
    file = write(tmp_path, "time,x,y\n1,2,3\n")
    with pytest.raises(
        DataError, match=r"expected 2 channels, found 3: time, x, y. Column time looks like a time, not a channel: name the 2"
    ):
        rows_of(file, 2)
    file = write(tmp_path, "time,x\n10:00,2\n")
    with pytest.raises(DataError, match=r"found '10:00'. The column looks like a time, not a channel: name the channels"):
        rows_of(file, 2)


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ("1\n99999999999999999999999\n1e400\n", None),
        ("1\n\n99999999999999999999999\n", None),
        ("1\nTrue\n", "row 1 .from 0.: expected a number, found 'True'"),
        ("True\n\nFalse\n", "row 0 .from 0.: expected a number, found True"),
        ("1\n0x10\n", "found '0x10'"),
        ("1\n1_000\n", "found '1_000'"),
        ("1\n" + "x" * 1000 + "\n", r"found 'xxxxxxxxxxxx\.\.\.xxxxxxxxxxxxx'\. Correct it"),
    ],
)
def test_cells_are_numbers(cells, message, tmp_path):
    file = write(tmp_path, f"x\n{cells}")
    if message is None:
        expected = [float(cell or "nan") for cell in cells.splitlines()]
        np.testing.assert_allclose(rows_of(file, 1)[:, 0], expected, rtol=1e-6)
    else:
        with pytest.raises(DataError, match=message):
            rows_of(file, 1)


def test_header_without_the_option_is_named(tmp_path):
    with pytest.raises(DataError, match=r"column 0, row 0 .* found 'x'.*; remove --no-header if it is a name"):
        rows_of(write(tmp_path, "x,y\n1,2\n"), 2, header=False)


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pd.array([1, None], "Int64"), [1, np.nan]),
        (pd.array([1.5, None], "Float64"), [1.5, np.nan]),
        (pd.array([255, None], "UInt8"), [255, np.nan]),
        ([Decimal("0.1"), None], [0.1, np.nan]),
        ([Decimal("1e-3"), Decimal("12345.678")], [1e-3, 12345.678]),
        (pd.Categorical([2, 1]), [2, 1]),
        (pd.array([True, None], "boolean"), "expected a number, found True"),
        ([True, False], "expected a number, found True"),
        (["1", "2"], "expected a number, found '1'"),
        (pd.date_range("2024-01-01", periods=2), "found Timestamp.*looks like a time, not a channel"),
    ],
)
def test_types_of_parquet_columns(column, expected, tmp_path):
    pd.DataFrame({"x": column}).to_parquet(tmp_path / "a.parquet")
    if isinstance(expected, str):
        with pytest.raises(DataError, match=f"column x, row 0 .from 0.: {expected}" if "number" in expected else expected):
            rows_of(tmp_path / "a.parquet", 1)
    else:
        np.testing.assert_array_equal(rows_of(tmp_path / "a.parquet", 1)[:, 0], np.float32(expected))


def test_damaged_parquet_is_an_error(recording, tmp_path):
    file = tmp_path / "a.parquet"
    pd.DataFrame(recording, columns=["x", "y", "z"]).to_parquet(file)
    content = file.read_bytes()
    for damaged in (content[:-20], content[:500], content.replace(b"numpy_type", b"Numpy_type")):
        file.write_bytes(damaged)
        with pytest.raises(DataError, match=r"a.parquet: not a complete Parquet table \(.+\)\. Write it again") as error:
            rows_of(file)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".parquet", ".index.parquet"])
def test_gap_in_the_times_is_one_warning(suffix, tmp_path, caplog):
    times = pd.Series(pd.date_range("2024-01-10 23:59:50", periods=60, freq="s"))
    times[24:] += pd.Timedelta(days=3)
    table = pd.DataFrame({"x": np.arange(60.0), "Time": times, "y": 0})
    file = tmp_path / f"a{suffix}"
    if suffix == ".index.parquet":
        table.set_index("Time").to_parquet(file)
    elif suffix == ".parquet":
        table.to_parquet(file)
    else:
        table.to_csv(file, index=False)
    assert len(list(read_windows(file, (16, 2), names=["x", "y"])))
    (message,) = caplog.messages
    assert message.startswith(f"{file}: the times have 1 gap, the first before row 24 (from 0): a step of 3 days, 0:00:01")
    caplog.clear()
    read_window(file, 1, (16, 2), None, ["x", "y"])
    assert len(caplog.messages) == 1


def test_error_after_a_gap_is_the_only_message(tmp_path, caplog):
    file = write(tmp_path, "time,x\n" + "".join(f"{time},0\n" for time in (0, 1, 2, 9)) + "10,?\n")
    with pytest.raises(DataError, match="column x, row 4"):
        rows_of(file, 1, columns=["x"])
    assert not caplog.messages


def test_channels_are_not_times(tmp_path, caplog):
    """A temperature may be named t."""
    file = write(tmp_path, "t,x\n1,0\n2,0\n9,0\n")
    rows_of(file, 2)
    rows_of(file, 1, columns=["t"])
    assert not caplog.messages
    rows_of(file, 1, columns=["x"])
    assert len(caplog.messages) == 1
