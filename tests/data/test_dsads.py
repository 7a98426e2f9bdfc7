"""The reader of DSADS' text files: against NumPy's own, and every way a tree can be broken."""

import shutil

import numpy as np
import pytest

from amsl_tf.data.dsads import ABNORMAL, ACTIVITIES, NORMAL, find_recordings, read_recordings
from amsl_tf.data.preprocessing import preprocess
from amsl_tf.data.store import open_windows
from amsl_tf.data.synthetic import write_tree
from amsl_tf.errors import AMSLError, DataError


@pytest.fixture(scope="module")
def whole_tree(tmp_path_factory):
    root = tmp_path_factory.mktemp("dsads") / "tree"
    write_tree(root, people=2, segments=2)
    return root


@pytest.fixture
def tree(whole_tree, tmp_path):
    shutil.copytree(whole_tree, tmp_path / "tree")
    return tmp_path / "tree"


def test_activities():
    assert len(ACTIVITIES) == 19
    assert ABNORMAL == ("a05", "a06", "a12", "a18", "a19")
    assert len(NORMAL) == 14


def test_every_file_is_read_as_numpy_reads_it(tree):
    recordings = find_recordings(tree)
    assert len(recordings) == 19 * 2
    for recording, windows in zip(recordings, read_recordings(recordings), strict=True):
        expected = [np.loadtxt(file, delimiter=",", dtype=np.float32) for file in recording.files]
        np.testing.assert_array_equal(windows, expected)


def test_preprocessing_keeps_the_originals_order_and_says_what_each_row_is(tree, tmp_path):
    shapes = preprocess(tree, tmp_path / "out")
    assert shapes == {"normal": (56, 125, 45), "abnormal": (20, 125, 45)}
    windows = open_windows(tmp_path / "out" / "normal.npy", tmp_path / "out" / "normal.csv", "")
    assert windows.source[:5].tolist() == [f"a01/p{p}/s0{s}.txt" for p in (1, 2) for s in (1, 2)] + ["a02/p1/s01.txt"]
    for row in (0, 17, 55):
        np.testing.assert_array_equal(windows.x[row], np.loadtxt(tree / windows.source[row], delimiter=",", dtype=np.float32))
        activity, subject, segment = windows.source[row].removesuffix(".txt").split("/")
        assert (windows.activity[row], windows.subject[row], windows.segment[row]) == (activity, subject, segment)


def test_line_ends_do_not_matter(tree):
    file = tree / "a01/p1/s01.txt"
    expected = next(read_recordings(find_recordings(tree)))
    for text in (file.read_bytes().rstrip(b"\n"), file.read_bytes().replace(b"\n", b"\r\n")):
        file.write_bytes(text)
        np.testing.assert_array_equal(next(read_recordings(find_recordings(tree))), expected)


def rewrite(number, change):
    def spoil(file):
        lines = file.read_text().splitlines()
        lines[number - 1 : number] = change(lines[number - 1])
        file.write_text("\n".join(lines) + "\n")

    return spoil


SPOILS = {
    "missing": (lambda file: file.unlink(), "a05/p2/s02.txt: missing"),
    "empty": (lambda file: file.write_text(""), "a05/p2/s02.txt: expected 125 rows of 45 numbers, found an empty file"),
    "blank": (lambda file: file.write_text("\n" * 125), "found an empty file"),
    "a row less": (rewrite(7, lambda line: []), "row 125: expected 125 rows, found 124"),
    "a row more": (rewrite(7, lambda line: [line, line]), "row 126: expected 125 rows, found 126"),
    "a blank row": (rewrite(7, lambda line: [""]), "row 7: expected 45 numbers, found 1"),
    "a column less": (rewrite(7, lambda line: [line.rpartition(",")[0]]), "row 7: expected 45 numbers, found 44"),
    "a column more": (rewrite(7, lambda line: [line + ",1.0"]), "row 7: expected 45 numbers, found 46"),
    "text": (rewrite(7, lambda line: [line.replace(line.split(",")[2], "oops", 1)]), "row 7, column 3: .*'oops'"),
    "NaN": (rewrite(7, lambda line: ["nan," + line.partition(",")[2]]), "row 7, column 1: .*'nan'"),
    "infinity": (rewrite(7, lambda line: ["inf," + line.partition(",")[2]]), "row 7, column 1: .*'inf'"),
    "overflow": (rewrite(7, lambda line: ["1e300," + line.partition(",")[2]]), "row 7, column 1: .*'1e300'"),
    "no value": (rewrite(7, lambda line: ["," + line.partition(",")[2]]), "row 7, column 1: .*''"),
    "bytes": (lambda file: file.write_bytes(b"\xff\xfe" * 400 + b"\n" * 125), "row 1: expected 45 numbers"),
}


@pytest.mark.parametrize("name", SPOILS)
def test_a_broken_file_is_named_with_its_row_and_nothing_is_left(tree, tmp_path, name):
    spoil, said = SPOILS[name]
    spoil(tree / "a05/p2/s02.txt")
    with pytest.raises(DataError, match=f"a05/p2/s02.txt.*{said}" if "a05" not in said else said):
        preprocess(tree, tmp_path / "out")
    assert [item.name for item in tmp_path.iterdir()] == ["tree"]


def test_rows_that_moved_between_files_are_found(tree):
    """Two files whose rows add up to what two whole files have."""
    first, second = tree / "a05/p2/s01.txt", tree / "a05/p2/s02.txt"
    lines = second.read_text().splitlines(keepends=True)
    second.write_text("".join(lines[1:]))
    first.write_text(first.read_text() + lines[0])
    with pytest.raises(DataError, match=r"a05/p2/s01.txt, row 126: expected 125 rows, found 126"):
        list(read_recordings(find_recordings(tree)))


def test_missing_folders_are_named(tree, tmp_path):
    with pytest.raises(DataError, match="expected a folder with DSADS' folders"):
        find_recordings(tmp_path / "typo")
    with pytest.raises(DataError, match="Name the folder that holds them"):
        find_recordings(tree / "a05")
    shutil.rmtree(tree / "a07/p2")
    with pytest.raises(DataError, match=r"a07/p2/s01.txt: missing"):
        find_recordings(tree)
    shutil.rmtree(tree / "a07")
    with pytest.raises(DataError, match="a07: expected a folder for each person"):
        find_recordings(tree)


def test_output_that_is_something_else_is_left_alone(tree, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("precious")
    with pytest.raises(AMSLError, match="name another folder"):
        preprocess(tree, tmp_path / "out")
    assert [item.name for item in (tmp_path / "out").iterdir()] == ["thesis.txt"]


@pytest.mark.real_data
def test_real_files(dsads, tmp_path):
    shapes = preprocess(dsads, tmp_path / "out")
    files = len(list(dsads.rglob("s*.txt")))
    assert shapes["normal"][0] + shapes["abnormal"][0] == files
    assert shapes["normal"][0] * 5 == shapes["abnormal"][0] * 14
    windows = open_windows(tmp_path / "out" / "abnormal.npy", tmp_path / "out" / "abnormal.csv", "")
    assert set(windows.activity) == set(ABNORMAL)
    assert set(windows.subject) == {f"p{number}" for number in range(1, 9)}
    for row in np.random.default_rng(0).choice(len(windows), 20, replace=False):
        np.testing.assert_array_equal(windows.x[row], np.loadtxt(dsads / windows.source[row], delimiter=",", dtype=np.float32))
