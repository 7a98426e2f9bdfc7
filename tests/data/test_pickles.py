"""Pickles of arrays of all protocols, and those that must not be read."""

import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from amsl_tf.data.pickles import read_pickle
from amsl_tf.errors import DataError

OBJECTS = {
    "float32": np.arange(6, dtype=np.float32).reshape(2, 3),
    "big endian": np.arange(6, dtype=">i4").reshape(2, 3),
    "Fortran order": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "text": np.array(["ab", "c"]),
    "no axis": np.array(3.5),
    "empty": np.empty((0, 3)),
}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("name", OBJECTS)
def test_arrays(tmp_path, name, protocol):
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(OBJECTS[name], protocol))
    read = read_pickle(tmp_path / "a.pkl", "")
    np.testing.assert_array_equal(read, OBJECTS[name])
    assert read.shape == OBJECTS[name].shape
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(read)), read)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_containers(tmp_path, protocol):
    values = {"a": [np.float32(1.5), (1, "x")], b"signal": {"c": np.arange(3)}, "none": b""}
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(values, protocol))
    read = read_pickle(tmp_path / "a.pkl", "")
    assert (read["a"], read["none"]) == (values["a"], b"")
    assert read[b"signal"]["c"].tolist() == [0, 1, 2]


def test_pickle_of_python_2(tmp_path):
    """What Python 2 wrote for `{'x': numpy.array([1.5, -2.0])}`, protocol 2."""
    content = (
        b"\x80\x02}q\x00U\x01xq\x01cnumpy.core.multiarray\n_reconstruct\nq\x02cnumpy\nndarray\nq\x03K\x00\x85U\x01b\x87Rq\x04"
        b"(K\x01K\x02\x85cnumpy\ndtype\nq\x05U\x02f8K\x00K\x01\x87Rq\x06(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        b"\x89U\x10\x00\x00\x00\x00\x00\x00\xf8?\x00\x00\x00\x00\x00\x00\x00\xc0tbs."
    )
    (tmp_path / "a.pkl").write_bytes(content)
    assert read_pickle(tmp_path / "a.pkl", "")["x"].tolist() == [1.5, -2.0]


class Evil:
    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


class Huge:
    def __reduce__(self):
        return np.ndarray, ((10**12,),)


class HugeBytes:
    def __reduce__(self):
        return bytes, (10**12,)


class Pointers:
    """An array of objects whose state is bytes, which NumPy would use as addresses."""

    def __reduce__(self):
        dtype = np.dtype("O")
        return np.arange(0).__reduce__()[0], (np.ndarray, (0,), b"b"), (1, (1,), dtype, False, b"\x01" * 8)


@pytest.mark.parametrize("make", [Evil, lambda mark: np.array([Evil(mark)], object), lambda mark: {"x": [Evil(mark)]}])
def test_code_is_not_executed(tmp_path, make):
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(make(tmp_path / "mark")))
    with pytest.raises(DataError, match=r"a\.pkl: expected a pickle of NumPy arrays \(it needs .*not allowed\). Advice."):
        read_pickle(tmp_path / "a.pkl", "Advice.")
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize("make", [Huge, HugeBytes, Pointers, lambda: os.getcwd, lambda: np.array([None], object)])
def test_other_content_is_refused(tmp_path, make):
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(make()))
    with pytest.raises(DataError, match=r"a\.pkl: expected a pickle of NumPy arrays"):
        read_pickle(tmp_path / "a.pkl", "Advice.")


def test_a_pickle_cannot_change_the_reader(tmp_path):
    """The state of an object is set on a function that the reader offers."""
    content = b"\x80\x02c_codecs\nencode\nN}U\x0c__defaults__U\x01z\x85s\x86b."
    (tmp_path / "a.pkl").write_bytes(content)
    with pytest.raises(DataError, match="expected a pickle of NumPy arrays"):
        read_pickle(tmp_path / "a.pkl", "")
    test_arrays(tmp_path, "float32", 0)


def test_memo_of_any_size(tmp_path):
    """That of the unpickler in C would have 2**31 entries."""
    (tmp_path / "a.pkl").write_bytes(b"\x80\x02Nr\xff\xff\xff\x7f.")
    assert read_pickle(tmp_path / "a.pkl", "") is None


def test_items_without_a_size(tmp_path):
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(np.zeros(2, "V0"), 2).replace(b"V0", b"S0"))
    with pytest.raises(DataError, match="not allowed"):
        read_pickle(tmp_path / "a.pkl", "")


@pytest.mark.parametrize(
    "content",
    [b"", b"garbage", pickle.dumps(np.arange(1000.0))[:500], b"\x8e" + b"\xff" * 8],
)
def test_damaged_files(tmp_path, content):
    (tmp_path / "a.pkl").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.pkl: expected a pickle of NumPy arrays .*Advice"):
        read_pickle(tmp_path / "a.pkl", "Advice.")


def test_missing_file(tmp_path):
    with pytest.raises(DataError, match=r"a\.pkl: not found. Advice"):
        read_pickle(tmp_path / "a.pkl", "Advice.")
