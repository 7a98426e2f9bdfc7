"""TensorBoard files: truncation for a resumed training, and the files of the projector."""

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format
from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig

from amsl_tf.training.monitoring.event_files import truncate_after_step, write_projector


def write(folder, steps):
    writer = tf.summary.create_file_writer(str(folder))
    with writer.as_default():
        for step in steps:
            tf.summary.scalar("loss", 1.0, step=step)
    writer.close()


def steps_in(folder):
    """Returns the steps of all points, in the order of files and records."""
    files = sorted(folder.glob("events*"), key=lambda file: file.name)
    events = (event for file in files for event in tf.compat.v1.train.summary_iterator(str(file)))
    return [event.step for event in events if event.summary.value]


def test_later_steps_are_removed(tmp_path):
    write(tmp_path / "train", range(1, 8))
    write(tmp_path, [0])
    truncate_after_step(tmp_path, 4)
    assert steps_in(tmp_path / "train") == [1, 2, 3, 4]
    assert steps_in(tmp_path) == [0]


@pytest.mark.parametrize("cut", [1, 9, 30])
def test_incomplete_file_becomes_readable(tmp_path, cut):
    """As after SIGKILL; records appended to an incomplete one would never be read."""
    write(tmp_path, range(1, 8))
    (file,) = tmp_path.glob("events*")
    file.write_bytes(file.read_bytes()[:-cut])
    truncate_after_step(tmp_path, 100)
    assert steps_in(tmp_path) == [1, 2, 3, 4, 5, 6]
    before = file.read_bytes()
    truncate_after_step(tmp_path, 100)
    assert file.read_bytes() == before


def test_projector_files(tmp_path):
    points = np.arange(6.0).reshape(3, 2)
    write_projector(tmp_path, "slots", points, {"memory": ["a", "b", "c"], "state": ["x", "y", "z"]})
    (embedding,) = text_format.Parse((tmp_path / "projector_config.pbtxt").read_text(), ProjectorConfig()).embeddings
    np.testing.assert_array_equal(np.loadtxt(tmp_path / embedding.tensor_path, delimiter="\t"), points)
    assert (tmp_path / embedding.metadata_path).read_text() == "memory\tstate\na\tx\nb\ty\nc\tz\n"


def test_temporary_file_of_a_killed_process_is_removed(tmp_path):
    """TensorBoard would read it, because it searches names for `tfevents` at any position."""
    write(tmp_path, range(1, 4))
    (file,) = tmp_path.glob("events*")
    leftover = tmp_path / f".{file.name}.0a1b2c3d.tmp"
    leftover.mkdir()
    (leftover / file.name).write_bytes(file.read_bytes())
    truncate_after_step(tmp_path, 2)
    assert [item.name for item in tmp_path.iterdir()] == [file.name]


def test_start_at_step_0_removes_everything(tmp_path):
    write(tmp_path / "train", range(3))
    truncate_after_step(tmp_path, 0)
    assert steps_in(tmp_path / "train") == []
