"""Arrays of the normal and abnormal windows of a data set."""

from pathlib import Path

import numpy as np
import pytest

from amsl_tf.data.store import open_generated
from amsl_tf.datasets import DATASETS, usual_folder
from amsl_tf.datasets.base import Dataset
from amsl_tf.errors import AMSLError
from amsl_tf.stages.preprocessing import preprocess

WINDOWS = np.arange(8 * 16 * 2, dtype=np.float32).reshape(8, 16, 2)


class Labelled(Dataset):
    window_shape = (16, 2)
    label = np.repeat([0, 1, 0], [2, 3, 3])

    def index(self):
        return {"subject": np.repeat(["a", "b"], 4), "label": self.label}

    def read(self):
        yield from (WINDOWS[:3], WINDOWS[3:])


class Unlabelled(Labelled):
    label = np.zeros(8, int)


class Abnormal(Labelled):
    label = np.ones(8, int)


@pytest.fixture(autouse=True)
def registered():
    parts = (Labelled, Unlabelled, Abnormal)
    for part in parts:
        DATASETS.register(part.__name__, part)
    yield
    for part in parts:
        DATASETS.unregister(part.__name__)


def test_without_normal_windows_nothing_is_written(tmp_path):
    with pytest.raises(AMSLError, match="expected normal windows to learn from, found abnormal ones only"):
        preprocess(tmp_path, tmp_path / "out", "Abnormal")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("name", "folder"), [("dsads", "DASADS"), ("skab", "skab"), ("smap", "smap_msl"), ("msl", "smap_msl")])
def test_usual_folders(name, folder):
    assert usual_folder(name) == Path("data") / folder


def test_windows_by_label(tmp_path):
    assert preprocess(tmp_path, tmp_path / "out", "Labelled") == {"normal": (5, 16, 2), "abnormal": (3, 16, 2)}
    normal, abnormal = open_generated(tmp_path / "out", "")
    np.testing.assert_array_equal(normal.x, WINDOWS[[0, 1, 5, 6, 7]])
    np.testing.assert_array_equal(abnormal.x, WINDOWS[2:5])
    assert (normal.subject.tolist(), abnormal.subject.tolist()) == (["a", "a", "b", "b", "b"], ["a", "a", "b"])


def test_without_abnormal_windows_there_are_no_files_of_them(tmp_path):
    """Either output replaces the other."""
    for _ in range(2):
        assert preprocess(tmp_path, tmp_path / "out", "Unlabelled") == {"normal": (8, 16, 2)}
        assert {item.name for item in (tmp_path / "out").iterdir()} == {"normal.npy", "normal.csv", "sensors.json"}
        np.testing.assert_array_equal(np.load(tmp_path / "out/normal.npy"), WINDOWS)
        preprocess(tmp_path, tmp_path / "out", "Labelled")
        assert (tmp_path / "out/abnormal.npy").exists()


@pytest.mark.parametrize(("name", "message"), [("normal.npy", "lacks normal.csv"), ("abnormal.csv", "lacks abnormal.npy")])
def test_other_folders_are_not_replaced(tmp_path, name, message):
    """Such as normal.npy alone, a file of the user."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).touch()
    with pytest.raises(AMSLError, match=f"{message}, so it is not replaced"):
        preprocess(tmp_path, tmp_path / "out", "Unlabelled")
    assert [item.name for item in (tmp_path / "out").iterdir()] == [name]
