"""Reading the cells of CSV and Parquet tables."""

import bz2
import csv
import gzip
import io
import logging
import lzma
import sys
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amsl_tf.data import tables
from amsl_tf.data.reading import Reading
from amsl_tf.data.recording_files import open_recording
from amsl_tf.errors import AMSLError, DataError


@pytest.fixture
def recording(rng):
    return rng.normal(size=(103, 3))


@pytest.fixture(autouse=True, scope="module")
def small_parts():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "ROWS", 10)
        yield


def rows_of(file, names=(), **reading):
    """Reads all channels of a file."""
    return np.concatenate([rows.x for rows in open_recording(file, Reading(**reading), names).parts()])


def write(folder, content, name="a.csv"):
    file = folder / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file


def test_csv_with_numbered_columns(recording, tmp_path, caplog):
    """As pandas writes a table without names, with and without its index."""
    file = tmp_path / "recording.csv"
    pd.DataFrame(recording).to_csv(file, index=False)
    np.testing.assert_allclose(rows_of(file), recording, rtol=1e-12)
    assert "is used as column names. Use --no-header" in caplog.text
    pd.DataFrame(recording).to_csv(file)
    np.testing.assert_allclose(rows_of(file, columns=["0", "1", "2"]), recording, rtol=1e-12)


def test_names_may_be_numbers(recording, tmp_path):
    pd.DataFrame(recording, columns=["3", "1", "2"]).to_csv(tmp_path / "a.csv", index=False)
    np.testing.assert_allclose(rows_of(tmp_path / "a.csv", ["1", "2", "3"]), recording[:, [1, 2, 0]], rtol=1e-12)


def test_missing_pyarrow_is_an_error(recording, tmp_path, monkeypatch):
    pd.DataFrame(recording, columns=["x", "y", "z"]).to_parquet(tmp_path / "a.parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(AMSLError, match=r"^Parquet needs pyarrow .* Run pip install 'amsl_tf\[parquet\]'\."):
        rows_of(tmp_path / "a.parquet")


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
        ("x;y\n1,5;2\n\n;3\n\n", True, [[1.5, 2], NAN, [np.nan, 3]]),
        ("x\ty\n1\t2\n\n\t3\n\t\n4\t5\n\n", True, [[1, 2], NAN, [np.nan, 3], NAN, [4, 5]]),
        ("x y\n1  2\n\n   \n  3 4\n\n", True, [[1, 2], NAN, NAN, [3, 4]]),
    ],
)
@pytest.mark.parametrize("compress", [None, gzip.compress, bz2.compress, lzma.compress])
def test_only_blank_lines_at_the_end_are_no_rows(content, header, expected, compress, tmp_path):
    suffixes = {None: "", gzip.compress: ".gz", bz2.compress: ".bz2", lzma.compress: ".XZ"}
    content = content.encode() if compress is None else compress(content.encode())
    file = write(tmp_path, content, f"a.csv{suffixes[compress]}")
    np.testing.assert_array_equal(rows_of(file, header=header), expected)


NUMBERS = (st.floats(), st.floats(width=32), st.integers(-9, 9), st.integers(-(10**22), 10**22), st.just(np.nan))
BLANK = st.lists(st.sampled_from(["", "  ", "\t"]), max_size=2)


@settings(max_examples=60)
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
    expected = expected.map(lambda cell: np.nan if cell == "" else float(cell)).to_numpy(np.float64)
    found = rows_of(file, header=header)
    blank_end = len(expected) - len(found)  # rows of one channel without a value, at the end
    assert np.isnan(expected[len(found) :]).all()
    assert not blank_end or channels == 1
    np.testing.assert_allclose(found, expected[: len(found)], rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize("row", range(25))
def test_cell_too_many_is_an_error_in_any_row(row, tmp_path):
    rows = ["1,2"] * 25
    rows[row] = "1,2,3"
    file = write(tmp_path, "\n".join(["", "x,y", *rows]))
    with pytest.raises(DataError, match=rf"not a complete table \(line {row + 3} has 3 cells, the first line 2\)\. Correct"):
        rows_of(file)


@pytest.mark.parametrize(
    ("content", "header", "expected", "message"),
    [
        ("x;y\n1,5;2,5\n", True, [[1.5, 2.5]], "separated by ';', numbers have decimal commas"),
        ("x;y\n1.5;2.5\n", True, [[1.5, 2.5]], "separated by ';'"),
        ("x;y;\n1,5;2,5;\n", True, [[1.5, 2.5]], "separated by ';', numbers have decimal commas"),
        ("1;2\n3;4\n", False, [[1, 2], [3, 4]], "separated by ';'"),
        ("1,5;2,5\n3;4\n", False, [[1.5, 2.5], [3, 4]], "separated by ';', numbers have decimal commas"),
        ("Speed, m/s;Temperature, C\n1,5;2,5\n", True, [[1.5, 2.5]], "separated by ';', numbers have decimal commas"),
        ("x\ty\n1\t2\n", True, [[1, 2]], "separated by tabs"),
        ("x\ty\n1\t2\n\t5\n", True, [[1, 2], [np.nan, 5]], "separated by tabs"),
        ("x|y\n1|2\n", True, [[1, 2]], r"separated by '\|'"),
        ("1.5   2.5\n1.5  3.5\n", False, [[1.5, 2.5], [1.5, 3.5]], "separated by spaces"),
        ("x y\n1,5 2,5\n", True, [[1.5, 2.5]], "separated by spaces, numbers have decimal commas"),
        ("1,5 2,5\n3,5 4,5\n", False, [[1.5, 2.5], [3.5, 4.5]], "separated by spaces, numbers have decimal commas"),
        ("Speed, km\n1\n2\n", True, [[1], [2]], "separated by ';'"),
        ('a;b\n1,5\n""\n2,5\n', True, [[1.5], [np.nan], [2.5]], "numbers have decimal commas"),
        ("2024-01-13 10:00:00|-1,5\n2024-01-13 10:00:01|2,5\n", False, [[-1.5], [2.5]], r"separated by '\|', numbers have"),
        ("1,5 2,5\n", False, [[1.5, 2.5]], "separated by spaces, numbers have decimal commas"),
        ("x\n1,5\n2,5\n", True, [[1.5], [2.5]], "numbers have decimal commas"),
        (
            "x;y\n" + "1;2\n" * 900 + "1,5;2\n",
            True,
            [[1, 2]] * 900 + [[1.5, 2]],
            "separated by ';', numbers have decimal commas",
        ),
    ],
)
def test_delimiter_and_decimal_comma_are_found_and_said_once(content, header, expected, message, tmp_path, caplog):
    caplog.set_level(logging.INFO, "amsl_tf.data")
    file = write(tmp_path, content)
    recording = open_recording(file, Reading(header=header))
    for _ in range(2):
        np.testing.assert_array_equal(np.concatenate([rows.x for rows in recording.parts()]), expected)
    (said,) = [text for text in caplog.messages if "cells are separated" in text]
    assert said.startswith(f"{file}: cells are ")
    assert message.replace("\\", "") in said


@pytest.mark.parametrize(
    ("content", "reading", "expected"),
    [
        ("x:y\n1:2\n", {"delimiter": ":"}, [[1, 2]]),
        ("x y\n1 2\n", {"delimiter": "space"}, [[1, 2]]),
        ("x\ty\n1\t2\n", {"delimiter": "tab"}, [[1, 2]]),
        ('x,y\n"1,5","2"\n', {"decimal": ","}, [[1.5, 2]]),
        ("x;y\n1;2\n1,5;2\n", {"delimiter": ";", "decimal": ","}, [[1, 2], [1.5, 2]]),
        ("1,5\n2,5\n", {"decimal": ",", "header": False}, [[1.5], [2.5]]),
        ("1,5\n2,5\n", {"header": False}, [[1, 5], [2, 5]]),
    ],
)
def test_delimiter_and_decimal_may_be_given(content, reading, expected, tmp_path):
    np.testing.assert_array_equal(rows_of(write(tmp_path, content), **reading), expected)


@pytest.mark.parametrize("content", ["x,y\n1, ?\n", "my x,my y\n1,a b\n", 'x,y\n"1;2",3\n', "x,y\n1,2 3\n"])
def test_commas_are_not_taken_for_other_delimiters(content, tmp_path):
    with pytest.raises(DataError, match=r"expected a number"):
        rows_of(write(tmp_path, content))


def test_name_with_a_space_is_one_column(tmp_path):
    recording = open_recording(write(tmp_path, "my x\n1\n2\n"))
    assert recording.channel_names == ("my x",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("x,y\n", "expected rows of numbers, found none; the file has a header, but no rows"),
        ("x,y\n1,2\n1,2,3\n", "not a complete table"),
        ("x,y\n1,2,3\n4,5,6\n", "not a complete table"),
        ("1,2\n3,4\n", "Use --no-header"),
        ("5,5\n3,4\n", "Use --no-header"),
        ("0.5,\n3,4\n", "Use --no-header"),
        (",0,1\n0,3,4\n", "Use --no-header"),
        ("1,5;2\n3,5;4\n", "Use --no-header"),
        ("\n\n", "expected a table, found blank lines only"),
        ("x,y\n1\x002,4\n", "found NUL bytes: binary data, or text in UTF-16"),
        ("x,y\n1,2\n".encode("utf-16-le"), "found NUL bytes: binary data, or text in UTF-16"),
        ("x °,y\n1,2\n".encode("latin-1"), "expected text in UTF-8, found the byte 0xb0"),
        (("x,y\n" + 10_000 * "1,2\n" + "°,2\n").encode("latin-1"), "expected text in UTF-8, found the byte 0xb0"),
        (b"\x89PNG\r\n\x1a\n", "expected text in UTF-8, found the byte 0x89"),
        ('x,y\n1,2\n"3,4\n', "EOF inside string"),
        ('"' + "x" * 200_000, "not a table .field larger than field limit"),
    ],
)
def test_broken_text_is_an_error(content, message, tmp_path):
    file = write(tmp_path, content)
    with pytest.raises(DataError, match=f"^{file}: .*{message}") as error:
        rows_of(file)
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


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ("1\n99999999999999999999999\n1e400\n", None),
        ("1\n\n99999999999999999999999\n", None),
        ("1\nNaN\nNA\nnull\n-\n-1\n", None),
        ("1\nTrue\n", "row 1 .from 0.: expected a number, found 'True'"),
        ("True\n\nFalse\n", "row 0 .from 0.: expected a number, found True"),
        ("1\n0x10\n", "found '0x10'"),
        ("1\n1_000\n", "found '1_000'"),
        ('1\n"1,5"\n', "found '1,5'. Name the decimal separator with --decimal"),
        ("1\n" + "x" * 1000 + "\n", r"found 'xxxxxxxxxxxx\.\.\.xxxxxxxxxxxxx'\. Correct it"),
        ("1\n" * 12 + "?\n", r"column x, row 12 .from 0.: expected a number, found '\?'. Correct it"),
    ],
)
def test_cells_are_numbers(cells, message, tmp_path):
    file = write(tmp_path, f"x\n{cells}")
    if message is None:
        missing = ("", "NaN", "NA", "null", "-")
        expected = [np.nan if cell in missing else float(cell) for cell in cells.splitlines()]
        np.testing.assert_allclose(rows_of(file)[:, 0], expected, rtol=1e-12)
    else:
        with pytest.raises(DataError, match=message):
            rows_of(file)


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16", "utf-8", "utf-8-sig"])
def test_encodings(encoding, tmp_path):
    file = write(tmp_path, "Strömung;y\n1,5;2\n3;4\n".encode(encoding))
    opened = open_recording(file, Reading(encoding=encoding))
    assert opened.channel_names == ("Strömung", "y")
    assert opened.channel_names == open_recording(file, Reading(encoding=encoding.upper())).channel_names
    if encoding == "cp1252":
        message = r"expected text in UTF-8, found the byte 0xf6. Name its encoding with --encoding, such as cp1252\."
        with pytest.raises(DataError, match=message):
            open_recording(file)


def test_text_without_a_byte_order_mark_is_an_error(tmp_path):
    file = write(tmp_path, "x\n1\n".encode("utf-16-le"))
    with pytest.raises(DataError, match=r"expected text in UTF-16, found other text .* Name its encoding with --encoding"):
        open_recording(file, Reading(encoding="utf-16"))
    assert rows_of(file, encoding="utf-16-le").tolist() == [[1]]


def test_texts_for_missing_values(tmp_path):
    file = write(tmp_path, "time,x,y,label\n2024-01-01,1,Störung,0\n2024-01-02,Bad,-999,1\n")
    found = rows_of(file, na=("Störung", "Bad", "-999"), label="label")
    np.testing.assert_array_equal(found, [[1, np.nan], [np.nan, np.nan]])


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("x,y\n1,2\n3", 3),
        ("x,y\r\n1,2\r\n\r\n3,4\r\n5", 5),
        ("x,y\n" + "1,2\n" * 30 + "1", 32),
        ("x,y\n1,2\n3,", 0),
        ("x,y\n1,2\n3,4", 0),
        ("x,y\n1,2\n3\n", 0),
        ("x,y\n1,2\n3,4\n ", 0),
        ('x,y\n1,"2\n"', 0),
    ],
)
@pytest.mark.parametrize("compress", [None, gzip.compress])
def test_last_line_that_is_cut_off_is_a_warning(content, line, compress, tmp_path, caplog):
    file = write(tmp_path, content) if compress is None else write(tmp_path, compress(content.encode()), "a.csv.gz")
    opened = open_recording(file)
    for _ in range(2):  # once for several passes
        list(opened.parts())
    message = f"{file}: line {line}, the last one, has 1 of 2 cells and no line end: the file may be cut off."
    assert caplog.messages == ([message] if line else [])


def test_decimal_points_among_commas_are_an_error(tmp_path):
    file = write(tmp_path, "x;y\n1,5;2,5\n1.5;2\n99999999999999999999999;2\n")
    with pytest.raises(
        DataError, match=r"column x, row 1 .from 0.: expected a number, found '1.5'. Name the decimal separator"
    ):
        rows_of(file)


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
        (["1", "2"], "expected a number, found '1'. Correct it, name it .*, or leave the column out with --drop.$"),
    ],
)
def test_types_of_parquet_columns(column, expected, tmp_path):
    pd.DataFrame({"x": column}).to_parquet(tmp_path / "a.parquet")
    if isinstance(expected, str):
        with pytest.raises(DataError, match=f"column x, row 0 .from 0.: {expected}"):
            rows_of(tmp_path / "a.parquet")
    else:
        np.testing.assert_array_equal(rows_of(tmp_path / "a.parquet")[:, 0], expected)


def test_damaged_parquet_is_an_error(recording, tmp_path):
    file = tmp_path / "a.parquet"
    pd.DataFrame(recording, columns=["x", "y", "z"]).to_parquet(file)
    content = file.read_bytes()
    for damaged in (content[:-20], content[:500], content.replace(b"numpy_type", b"Numpy_type")):
        file.write_bytes(damaged)
        with pytest.raises(DataError, match=r"a.parquet: not a complete Parquet table \(.+\)\. Write it again") as error:
            rows_of(file)
        assert "\n" not in str(error.value)
