"""Versions of a model: loading, unloading, and folders that are ignored."""

import os
import shutil
import threading
import weakref

import pytest
import requests
import tensorflow as tf
from tensorflow_serving.apis.get_model_status_pb2 import ModelVersionStatus

from amsl_tf.errors import AMSLError
from amsl_tf.export.layout import WARMUP
from amsl_tf.serving import Model
from tests.serving.conftest import embedded, post, until


def test_keep_serves_the_newest_versions(folder):
    shutil.copytree(folder / "1", folder / "2")
    shutil.copytree(folder / "1", folder / "3")
    model = Model("waves", folder, keep=2)
    assert model.version().number == 3
    assert model.version(2).number == 2
    with pytest.raises(AMSLError, match=r"Specific\(waves, 1\)"):
        model.version(1)


def test_other_entries_of_the_folder_are_ignored(folder):
    model = Model("waves", folder)
    (folder / ("9" * 20)).mkdir()
    (folder / "1/.#lock").symlink_to("nowhere")
    module = tf.Module()
    tf.saved_model.save(module, str(folder / "2"))  # a SavedModel, but not of a detector
    shutil.copytree(folder / "1", folder / "3", symlinks=True)
    (folder / "3/variables").rename(folder / "3/other")
    model.refresh()
    assert model.version().number == 1
    assert [state.status.error_message for state in model.states(2)] == ["there is no signature serving_default"]


def test_served_version_survives_damage_of_its_files(folder):
    model = Model("waves", folder)
    (folder / "1/saved_model.pb").unlink()
    model.refresh()
    assert model.version().number == 1
    assert [state.state for state in model.states()] == [ModelVersionStatus.AVAILABLE]


def break_version(folder):
    shutil.copytree(folder / "1", folder / "2")
    intact = (folder / "2/saved_model.pb").read_bytes()
    (folder / "2/saved_model.pb").write_bytes(b"no model")
    return intact


def test_broken_version_is_served_once_repaired(folder):
    with embedded(folder) as (address, model):
        intact = break_version(folder)
        model.refresh()
        model.refresh()
        states = requests.get(f"{address.rest}/v1/models/waves", timeout=60).json()["model_version_status"]
        assert [state["state"] for state in states] == ["END", "AVAILABLE"]
        assert states[0]["status"]["error_code"] == "UNKNOWN"
        assert post(address).status_code == 200
        (folder / "2/saved_model.pb").write_bytes(intact)
        model.refresh()
        assert model.version().number == 2


@pytest.mark.parametrize("keep", [1, 2])
def test_start_beside_a_broken_version(folder, keep):
    break_version(folder)
    model = Model("waves", folder, keep)
    assert model.version().number == 1
    assert model.version(1).number == 1


def test_replaced_version_of_the_same_number_is_reloaded(folder):
    model = Model("waves", folder)
    first = model.version()
    model.refresh()
    assert model.version() is first
    shutil.copytree(folder / "1", folder / ".new")  # a copy keeps the times of the files
    os.utime(folder / ".new/saved_model.pb")
    shutil.rmtree(folder / "1")
    os.rename(folder / ".new", folder / "1")
    model.refresh()
    assert model.version() is not first


def test_served_version_survives_an_empty_folder(folder):
    with embedded(folder) as (address, model):
        shutil.rmtree(folder / "1")
        model.refresh()
        assert post(address).status_code == 200


def replace_by_fifo(file):
    file.unlink(missing_ok=True)
    os.mkfifo(file)


def replace_by_device(file):
    file.unlink(missing_ok=True)
    file.symlink_to("/dev/zero")


def replace_by_link_to_folder(file):
    file.unlink(missing_ok=True)
    (file.parent.parent / "elsewhere").mkdir()
    file.symlink_to(file.parent.parent / "elsewhere")


@pytest.mark.parametrize(
    ("name", "replace"),
    [
        ("saved_model.pb", replace_by_fifo),
        ("saved_model.pb", replace_by_device),
        (WARMUP, replace_by_fifo),
        ("variables/variables.index", replace_by_fifo),
        ("other", replace_by_link_to_folder),
    ],
)
def test_files_that_are_not_regular_are_not_opened(folder, name, replace):
    model = Model("waves", folder)
    shutil.copytree(folder / "1", folder / "2")
    replace(folder / "2" / name)
    refresh = threading.Thread(target=model.refresh, daemon=True)  # which must not wait for a writer of a named pipe
    refresh.start()
    refresh.join(60)
    assert not refresh.is_alive()
    (state,) = model.states(2)
    assert state.status.error_message == f"{name} must be a regular file, a link to one, or a folder. Remove it."
    assert model.version().number == 1


def test_links_to_regular_files_are_followed(folder, tmp_path):
    shutil.move(folder / "1/saved_model.pb", tmp_path / "graph")
    (folder / "1/saved_model.pb").symlink_to(tmp_path / "graph")
    model = Model("waves", folder)
    first = model.version()
    os.utime(tmp_path / "graph")  # the link itself does not change
    model.refresh()
    assert model.version() is not first


def test_version_that_vanishes_while_it_is_loaded(folder, monkeypatch):
    model, load = Model("waves", folder), tf.saved_model.load

    def vanish(path):
        shutil.rmtree(path)
        return load(path)

    shutil.copytree(folder / "1", folder / "2")
    monkeypatch.setattr(tf.saved_model, "load", vanish)
    model.refresh()
    assert model.version().number == 1
    message = model.states(2)[0].status.error_message
    assert "does not exist" in message
    assert "\n" not in message


@pytest.mark.parametrize("shape", [[None, None, 3], [None, 24]])
def test_windows_of_unknown_shape_are_rejected(folder, shape):
    model, module = Model("waves", folder), tf.Module()
    function = tf.function(lambda windows: {"score": windows}, input_signature=[tf.TensorSpec(shape, tf.float32, "windows")])
    tf.saved_model.save(module, str(folder / "2"), signatures=function)
    model.refresh()
    assert model.version().number == 1
    assert "inputs must have shape (-1, T, C), with T and C known" in model.states(2)[0].status.error_message


def test_an_error_that_persists_is_logged_once(folder, monkeypatch, caplog):
    model, calls = Model("waves", folder), []

    def fail():
        calls.append(1)
        raise OSError("unreachable")

    monkeypatch.setattr(model, "refresh", fail)
    model.watch(0.001)
    until(lambda: len(calls) > 3)
    model.close()
    assert caplog.messages == [f"{folder}: unreachable"]


def test_replaced_version_is_freed(exported, tmp_path):
    """Also while its folder still exists."""
    shutil.copytree(exported, tmp_path / "1")
    model = Model("waves", tmp_path)
    replaced = weakref.ref(model.version().loaded)
    shutil.copytree(exported, tmp_path / "2")
    model.refresh()
    assert model.version().number == 2
    assert replaced() is None
