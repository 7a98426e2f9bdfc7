"""The reader of DSADS: against `numpy.loadtxt`, and errors for damaged files."""

import shutil

import numpy as np
import pytest

from amsl_tf.data.store import open_windows
from amsl_tf.datasets.dsads import ABNORMAL, ACTIVITIES, NORMAL, find_recordings, read_recordings
from amsl_tf.datasets.synthetic import write_tree
from amsl_tf.errors import AMSLError, DataError
from amsl_tf.stages.preprocessing import preprocess
from tests.datasets.writers import replace_line


@pytest.fixture(scope="module")
def complete_tree(tmp_path_factory):
    root = tmp_path_factory.mktemp("dsads") / "tree"
    write_tree(root, subjects=2, segments=2)
    return root


@pytest.fixture
def tree(complete_tree, tmp_path):
    shutil.copytree(complete_tree, tmp_path / "tree")
    return tmp_path / "tree"


def test_activities():
    assert len(ACTIVITIES) == 19
    assert ABNORMAL == ("a05", "a06", "a12", "a18", "a19")
    assert len(NORMAL) == 14
    titles = ["ascending stairs", "descending stairs", "running on a treadmill", "jumping", "playing basketball"]
    assert [ACTIVITIES[name] for name in ABNORMAL] == titles


def test_files_against_numpy_loadtxt(tree):
    recordings = find_recordings(tree)
    assert len(recordings) == 19 * 2
    for recording, windows in zip(recordings, read_recordings(recordings), strict=True):
        expected = [np.loadtxt(file, delimiter=",", dtype=np.float32) for file in recording.files]
        np.testing.assert_array_equal(windows, expected)


def test_preprocessing_has_the_order_of_the_original_and_an_index(tree, tmp_path):
    shapes = preprocess(tree, tmp_path / "out")
    assert shapes == {"normal": (56, 125, 45), "abnormal": (20, 125, 45)}
    windows = open_windows(tmp_path / "out" / "normal.npy", tmp_path / "out" / "normal.csv", "")
    assert windows.source[:5].tolist() == [f"a01/p{p}/s0{s}.txt" for p in (1, 2) for s in (1, 2)] + ["a02/p1/s01.txt"]
    for row in (0, 17, 55):
        np.testing.assert_array_equal(windows.x[row], np.loadtxt(tree / windows.source[row], delimiter=",", dtype=np.float32))
        activity, subject, segment = windows.source[row].removesuffix(".txt").split("/")
        assert (windows.activity[row], windows.subject[row], windows.segment[row]) == (activity, subject, segment)


def test_line_endings(tree):
    file = tree / "a01/p1/s01.txt"
    expected = next(read_recordings(find_recordings(tree)))
    for text in (file.read_bytes().rstrip(b"\n"), file.read_bytes().replace(b"\n", b"\r\n")):
        file.write_bytes(text)
        np.testing.assert_array_equal(next(read_recordings(find_recordings(tree))), expected)


DAMAGES = {
    "missing file": (lambda file: file.unlink(), "a05/p2/s02.txt: missing"),
    "empty file": (lambda file: file.write_text(""), "a05/p2/s02.txt: expected 125 rows of 45 numbers, found an empty file"),
    "blank rows only": (lambda file: file.write_text("\n" * 125), "found an empty file"),
    "missing row": (replace_line(7, lambda line: []), "row 125: expected 125 rows, found 124"),
    "duplicate row": (replace_line(7, lambda line: [line, line]), "row 126: expected 125 rows, found 126"),
    "blank row": (replace_line(7, lambda line: [""]), "row 7: expected 45 numbers, found 1"),
    "missing column": (replace_line(7, lambda line: [line.rpartition(",")[0]]), "row 7: expected 45 numbers, found 44"),
    "additional column": (replace_line(7, lambda line: [line + ",1.0"]), "row 7: expected 45 numbers, found 46"),
    "text": (replace_line(7, lambda line: [line.replace(line.split(",")[2], "oops", 1)]), "row 7, column 3: .*'oops'"),
    "NaN": (replace_line(7, lambda line: ["nan," + line.partition(",")[2]]), "row 7, column 1: .*'nan'"),
    "infinity": (replace_line(7, lambda line: ["inf," + line.partition(",")[2]]), "row 7, column 1: .*'inf'"),
    "overflow": (replace_line(7, lambda line: ["1e300," + line.partition(",")[2]]), "row 7, column 1: .*'1e300'"),
    "missing value": (replace_line(7, lambda line: ["," + line.partition(",")[2]]), "row 7, column 1: .*''"),
    "no text": (lambda file: file.write_bytes(b"\xff\xfe" * 400 + b"\n" * 125), "row 1: expected 45 numbers"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damaged_file_is_an_error_and_leaves_no_output(tree, tmp_path, name):
    damage, message = DAMAGES[name]
    damage(tree / "a05/p2/s02.txt")
    with pytest.raises(DataError, match=f"a05/p2/s02.txt.*{message}" if "a05" not in message else message):
        preprocess(tree, tmp_path / "out")
    assert [item.name for item in tmp_path.iterdir()] == ["tree"]


def test_row_in_the_wrong_file_is_an_error(tree):
    """Two consecutive files that have 250 rows in total, but not 125 each."""
    first, second = tree / "a05/p2/s01.txt", tree / "a05/p2/s02.txt"
    lines = second.read_text().splitlines(keepends=True)
    second.write_text("".join(lines[1:]))
    first.write_text(first.read_text() + lines[0])
    with pytest.raises(DataError, match=r"a05/p2/s01.txt, row 126: expected 125 rows, found 126"):
        list(read_recordings(find_recordings(tree)))


def test_missing_folders_are_errors(tree, tmp_path):
    with pytest.raises(DataError, match="expected a folder with the folders a01 to a19"):
        find_recordings(tmp_path / "typo")
    with pytest.raises(DataError, match="Name the folder that holds them"):
        find_recordings(tree / "a05")
    shutil.rmtree(tree / "a07/p2")
    with pytest.raises(DataError, match=r"a07/p2/s01.txt: missing"):
        find_recordings(tree)
    shutil.rmtree(tree / "a07")
    with pytest.raises(DataError, match="a07: expected a folder for each subject"):
        find_recordings(tree)


def test_folder_with_other_files_is_not_replaced(tree, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("precious")
    with pytest.raises(AMSLError, match="name another folder"):
        preprocess(tree, tmp_path / "out")
    assert [item.name for item in (tmp_path / "out").iterdir()] == ["thesis.txt"]


@pytest.mark.real_data
def test_real_data(dsads, tmp_path):
    shapes = preprocess(dsads, tmp_path / "out")
    files = len(list(dsads.rglob("s*.txt")))
    assert shapes["normal"][0] + shapes["abnormal"][0] == files
    assert shapes["normal"][0] * 5 == shapes["abnormal"][0] * 14
    windows = open_windows(tmp_path / "out" / "abnormal.npy", tmp_path / "out" / "abnormal.csv", "")
    assert set(windows.activity) == set(ABNORMAL)
    assert set(windows.subject) == {f"p{number}" for number in range(1, 9)}
    for row in np.random.default_rng(0).choice(len(windows), 20, replace=False):
        np.testing.assert_array_equal(windows.x[row], np.loadtxt(dsads / windows.source[row], delimiter=",", dtype=np.float32))
