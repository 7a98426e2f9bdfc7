"""The recordings of a job, and their blocks."""

import logging
import pickle

import numpy as np
import pandas as pd
import pytest

from amsl_tf.data.locations import Location
from amsl_tf.data.recording_files import open_recording
from amsl_tf.data.recordings import Recording, Recordings
from amsl_tf.errors import DataError
from amsl_tf.scale import items
from amsl_tf.scale.items import Item, Message, list_items, make_blocks


def blocks_of(*sizes, workers=1):
    listed = [Item(number, Location(str(number), size, 0, "")) for number, size in enumerate(sizes)]
    return [[item.number for item in block] for block in make_blocks(listed, workers)]


def test_blocks(monkeypatch):
    monkeypatch.setattr(items, "BLOCK_BYTES", 10)
    monkeypatch.setattr(items, "BLOCK_ITEMS", 3)
    monkeypatch.setattr(items, "WORKER_BLOCKS", 1)
    assert blocks_of() == []
    assert blocks_of(4, 6, 1, 99, 2, 2, 2, 2, 9) == [[0, 1], [2], [3], [4, 5, 6], [7], [8]]
    assert blocks_of(0, 0, 0, 0) == [[0, 1, 2], [3]]
    objects = [Item(number, Recording(np.ones((2, 1)), "a")) for number in range(4)]
    assert [len(block) for block in make_blocks(objects, 1)] == [3, 1]


def test_all_workers_have_blocks():
    assert blocks_of(*16 * [1], workers=16) == [[number] for number in range(16)]
    assert blocks_of(*16 * [1], workers=99) == [[number] for number in range(16)]
    for count, workers, largest in ((16, 2, 2), (40, 2, 5), (1000, 2, 16)):
        sizes = list(map(len, blocks_of(*count * [1], workers=workers)))
        assert max(sizes) == largest
        assert len(sizes) >= 4 * workers


def test_items_of_files_and_objects(tmp_path):
    for name in ("10.npy", "9.npy"):
        np.save(tmp_path / name, np.ones((5, 2)))
    for given in (tmp_path, [str(tmp_path)], [tmp_path / "9.npy", f"{tmp_path}/*.npy"]):
        found, count = list_items(given, Recordings.of)
        assert count == 2
        assert [(item.number, item.name) for item in found] == [(0, f"{tmp_path}/9.npy"), (1, f"{tmp_path}/10.npy")]
        assert [item.size for item in found] == 2 * [(tmp_path / "9.npy").stat().st_size]
        assert pickle.loads(pickle.dumps(found)) == found
    recording = Recording(np.ones((5, 2)), "b", channel_names=("x", "y"))
    found, _ = list_items({"a": pd.DataFrame(np.ones((5, 2)), columns=["x", "y"]), "b": recording}, Recordings.of)
    assert [(item.number, item.name, item.size) for item in found] == [(0, "a", 0), (1, "b", 0)]
    with found[1].opened(lambda own: own, []) as source:
        assert source is recording
    assert list_items([np.ones((5, 2)), tmp_path / "9.npy"], Recordings.of)[0][1].name == f"{tmp_path}/9.npy"
    with pytest.raises(DataError, match="not found"):
        list_items(tmp_path / "typo", Recordings.of)


def test_names_and_messages_are_those_of_the_job(tmp_path, monkeypatch, caplog):
    """Workers have other current folders, so that they read absolute paths."""
    monkeypatch.chdir(tmp_path)
    np.save("a.npy", np.ones((5, 2)))
    ((item,), _) = list_items("a.npy", Recordings.of)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    log, messages = logging.getLogger("amsl_tf.some.module"), []
    level = logging.getLogger("amsl_tf").level

    def open_and_log(path):
        log.info(f"{path}: no %s", "times")
        log.debug("details")
        return open_recording(path)

    with item.opened(open_and_log, messages) as source:
        assert source.name == "a.npy"
        log.warning("a.npy: short")
    assert messages == [Message(logging.INFO, "a.npy", "no times"), Message(logging.WARNING, "a.npy", "short")]
    assert caplog.messages == []
    assert logging.getLogger("amsl_tf").level == level
    with pytest.raises(DataError, match=r"^a.npy: broken\.$"), item.opened(open_and_log, []):
        raise DataError(f"{tmp_path}/a.npy: broken.")
