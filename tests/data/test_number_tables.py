"""Tables of numbers against `numpy.loadtxt`, and the line of every fault."""

import numpy as np
import pytest

from amsl_tf.data.number_tables import read_numbers
from amsl_tf.errors import DataError


def write(folder, text):
    (folder / "a.txt").write_text(text)
    return folder / "a.txt"


def test_separators(tmp_path, rng):
    values = rng.normal(size=(30, 4))
    for separator in ",; ":
        np.savetxt(tmp_path / "a.txt", values, delimiter="   " if separator == " " else separator)
        found = read_numbers(tmp_path / "a.txt", 4, separator, "").to_numpy()
        np.testing.assert_array_equal(found, values)


def test_text_and_lines_before_the_table(tmp_path):
    table = read_numbers(write(tmp_path, "time;x\n2020-01-01;1.5\nNaN;2\n\n\n"), 2, ";", "", skip=1, text=(0,))
    assert table[0].isna().tolist() == [False, True]
    assert table[1].tolist() == [1.5, 2.0]


def test_missing_values(tmp_path):
    for text, separator in (("1 NaN 2\n3 4 NaN\n", " "), ("1,,2\n3,4,nan\n", ","), ("1, ,2\n3,4,NAN\n \n\n", ",")):
        found = read_numbers(write(tmp_path, text), 3, separator, "", missing=True).to_numpy()
        np.testing.assert_array_equal(found, [[1, np.nan, 2], [3, 4, np.nan]])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a table of 3 columns, found an empty file. Advice"),
        ("\n\n", "expected a table of 3 columns"),
        ("1,2\n1,2\n", "line 1: expected 3 values, found 2"),
        ("1,2,3\n4,5\n", "line 2: expected 3 values, found 2"),  # cut off
        ("1,2,3\n4,5,6,7\n", "line 2: expected 3 values, found 4"),
        ("1,2,3\n\n4,5,6\n", "line 2: expected 3 values, found 1"),
        ("1,2,3\n4,x,6\n", "line 2, column 2: expected a finite number, found 'x'"),
        ("1,2,3\n4,1_0,6\n", "line 2, column 2"),
        ("1,2,3\n4,,6\n", "line 2, column 2: expected a finite number, found ''"),
        ("1,2,3\n4,NaN,6\n", "line 2, column 2"),
        ("1,2,3\n4,1e400,6\n", "line 2, column 2"),
        ("1,2,3\n4,5,\xff6\n", "line 2, column 3"),
        ("1,2,3\n4,5\x00,6\n", "line 2, column 2: expected a finite number, found '5"),  # pandas ends a cell at NUL
        ("1,2,3\n\x00\x00\n4,5,6\n", "line 2: expected 3 values, found 1"),
        ('1,2,3\n4,"5\n",6\n', "line 2: expected 3 values, found 2"),  # a line break in quotes would shift lines
        ("1,2,3\n4, ,6\n", "line 2, column 2: expected a finite number, found ''"),
        ("1,2,3\n4,\u0665,6\n", "line 2, column 2"),
        ("1,2,3\n,,\n", "line 2, column 1"),
    ],
)
def test_faults(tmp_path, text, message):
    with pytest.raises(DataError, match=f"a.txt.*{message}"):
        read_numbers(write(tmp_path, text), 3, ",", "Advice.")


def test_text_that_is_not_utf_8(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"1,2,\xff3\n")
    with pytest.raises(DataError, match="line 1, column 3"):
        read_numbers(tmp_path / "a.txt", 3, ",", "Advice.")


def test_cut_off_lines_with_missing_values(tmp_path):
    for text in ("1 2 NaN\n1 2\n", "1 NaN\n1 2 3\n", "1 2 3\n1 x 3\n", "1 2 3\n1 inf 3\n"):
        with pytest.raises(DataError, match=r"a\.txt, line [12]"):
            read_numbers(write(tmp_path, text), 3, " ", "", missing=True)
