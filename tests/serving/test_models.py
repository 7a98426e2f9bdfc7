"""Versions of a model: loading, unloading, and folders that are ignored."""

import os
import shutil

import pytest
import requests
import tensorflow as tf
from tensorflow_serving.apis.get_model_status_pb2 import ModelVersionStatus

from amsl_tf.errors import AMSLError
from amsl_tf.serving import Model
from tests.serving.conftest import embedded, post


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
        states = requests.get(f"{address.rest}/v1/models/waves", timeout=9).json()["model_version_status"]
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
