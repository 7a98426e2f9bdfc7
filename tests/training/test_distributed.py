"""Training with several workers: two processes on this machine, against one."""

import json
import logging
import math
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest

from amsl_tf import DetectorConfig
from amsl_tf.errors import AMSLError
from amsl_tf.training import distribution
from amsl_tf.training.distribution import Cluster, make_strategy, read_cluster
from tests.conftest import ROOT, make_detector, steps_done

SIZES = {"filters": 4, "latent_features": 4, "num_slots": 5}
BATCH, WINDOWS = 8, 39  # the last of 5 batches has 7 windows, which two workers cannot divide


def make_windows():
    """40 windows of 24 time steps and 3 channels."""
    generator = np.random.default_rng(3)
    phase = generator.uniform(0, 2 * np.pi, (40, 1, 3))
    return (np.sin(np.arange(24)[:, None] / 6 + phase) + generator.normal(0, 0.05, (40, 24, 3))).astype(np.float32)


class Recorder(keras.callbacks.Callback):
    """Takes the place of the monitor: the losses after each step, those of validation, and the first gradients."""

    def begin(self, step):
        self.measured = {}
        self.losses, self.validation, self.gradients = [], [], []

    def on_train_batch_end(self, batch, logs=None):
        self.losses.append(logs["loss"])
        if not self.gradients:  # the first moment of Adam is 1 - 0.9 of the first gradient
            moments = [item for item in self.model.optimizer.variables if "momentum" in item.path]
            self.gradients = [moment.value.numpy() / 0.1 for moment in moments]

    def on_epoch_end(self, epoch, logs=None):
        self.validation.append(logs["val_loss"])


def record(config, windows, policy, folder):
    """Trains a network in any precision, with the functions that `fit` calls; returns the recorder and the network."""
    from amsl_tf.networks import build_network
    from amsl_tf.networks.layers import MinMaxScaling
    from amsl_tf.training.batches import training_batches, validation_batches
    from amsl_tf.training.fit import _distribute
    from amsl_tf.training.loop import Batches, train
    from amsl_tf.views.sources import RawWindows, view_batches

    size = config.training.batch_size
    source, positions = RawWindows(windows, config.network.views, 0), np.arange(len(windows))
    strategy, scaling, recorder = make_strategy(trains=True), MinMaxScaling(), Recorder()
    precision = "float64" if policy == "float64" else "float32"
    keras.config.set_floatx(precision)
    keras.config.set_dtype_policy(precision)
    try:
        with strategy.scope():
            network = build_network(config.network, windows.shape[1:], dtype=policy, seed=0)
        scaling.adapt(view_batches(source, positions))
        common = {"source": source, "scaling": scaling, "network": config.network, "positions": positions, "batch_size": size}
        batches = Batches(
            lambda chosen, skip: _distribute(strategy, training_batches, seed=0, epochs=chosen, skip=skip, **common),
            _distribute(strategy, validation_batches, **common),
            math.ceil(len(windows) / size),
            len(windows),
        )
        train(network, config, policy, batches, folder / policy, monitor=recorder, strategy=strategy)
    finally:
        keras.config.set_floatx("float32")
        keras.config.set_dtype_policy("float32")
    return recorder, network


PRECISIONS = (("float64", 10), ("float32", 1), ("mixed_bfloat16", 1))


def record_all(folder):
    """Writes a file with the records of each precision."""
    for policy, epochs in PRECISIONS:
        settings = {**SIZES, "views": ["raw"], "epochs": epochs, "batch_size": BATCH, "self_supervision": False}
        found, network = record(DetectorConfig.from_settings("amsl", **settings), make_windows()[:WINDOWS], policy, folder)
        arrays = {f"gradient{number}": values for number, values in enumerate(found.gradients)}
        arrays |= {f"weight{number}": values for number, values in enumerate(network.get_weights())}
        np.savez(folder / f"{policy}.npz", losses=found.losses, validation=found.validation, **arrays)


def fit_detector(folder, **settings):
    """Fits AMSL with dropout, with a checkpoint after every step; writes its weights and history."""
    options = {**SIZES, "views": ["raw", "noise"], "score": "reconstruction", "mixed_precision": "off", "epochs": 3, "seed": 1}
    detector = make_detector(**options, batch_size=4, **settings)
    detector.fit(make_windows(), work_dir=folder / "work", log_dir=folder / "logs", checkpoint_seconds=0.0)
    np.savez(folder / "fitted.npz", *detector.pipeline.network.get_weights(), **{"history": json.dumps(detector.history_)})


def start_workers(folders, *modes):
    """Starts two workers, each with a folder of its own, which do what the modes say."""
    sockets = [socket.socket() for _ in folders]
    for item in sockets:
        item.bind(("127.0.0.1", 0))
    cluster = {"worker": [f"127.0.0.1:{item.getsockname()[1]}" for item in sockets]}
    for item in sockets:
        item.close()
    workers = []
    for index, (folder, mode) in enumerate(zip(folders, modes, strict=True)):
        folder.mkdir(parents=True, exist_ok=True)
        task = {"cluster": cluster, "task": {"type": "worker", "index": index}}
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CONFIG": json.dumps(task)}
        command = [sys.executable, __file__, str(folder), mode]
        with (folder / "stderr.txt").open("w") as stderr:  # a full pipe would stop a worker
            workers.append(subprocess.Popen(command, cwd=ROOT, env=environment, stderr=stderr))
    return workers


def wait_for(workers, folders):
    """Waits for the end of workers; returns their exit statuses and what they wrote to stderr."""
    try:
        for worker in workers:
            worker.wait(timeout=300)
    finally:
        for worker in workers:
            worker.kill()
    return [(worker.wait(), (folder / "stderr.txt").read_text()) for worker, folder in zip(workers, folders, strict=True)]


def run_workers(folders, *modes):
    return wait_for(start_workers(folders, *modes), folders)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """The folders of two workers that have recorded all precisions and fitted a detector."""
    folders = [tmp_path_factory.mktemp("worker") for _ in range(2)]
    for status, text in run_workers(folders, "record,fit", "record,fit"):
        assert status == 0, text
    return folders


@pytest.fixture(scope="module")
def single(tmp_path_factory):
    """The folder of this process, which has recorded the same."""
    folder = tmp_path_factory.mktemp("single")
    record_all(folder)
    return folder


def relative(found, expected):
    """The largest difference, relative to the largest value."""
    return np.abs(found - expected).max() / np.abs(expected).max()


@pytest.mark.slow
def test_two_workers_train_as_one(folders, single):
    """In float64 over 50 steps with 10 batches that two workers cannot divide; gradients in float32; losses in bfloat16."""
    for folder in folders:
        records = {policy: [np.load(place / f"{policy}.npz") for place in (folder, single)] for policy, _ in PRECISIONS}
        found, expected = records["float64"]
        assert len(found["losses"]) == 50
        assert relative(found["losses"], expected["losses"]) < 1e-9
        assert relative(found["validation"], expected["validation"]) < 1e-9
        names = [name for name in expected.files if name.startswith("weight")]
        assert max(relative(found[name], expected[name]) for name in names) < 1e-7
        found, expected = records["float32"]
        names = [name for name in expected.files if name.startswith("gradient")]
        assert names
        assert max(relative(found[name], expected[name]) for name in names) < 1e-5
        found, expected = records["mixed_bfloat16"]
        assert abs(found["losses"][0] / expected["losses"][0] - 1) < 0.01


@pytest.mark.slow
def test_chief_alone_writes_and_all_have_the_same_detector(folders):
    chief, other = (np.load(folder / "fitted.npz") for folder in folders)
    assert {name: chief[name].tobytes() for name in chief.files} == {name: other[name].tobytes() for name in other.files}
    assert "memory_entropy_loss" in json.loads(str(chief["history"]))
    assert (folders[0] / "work").exists()
    assert (folders[0] / "logs").exists()
    assert not (folders[1] / "work").exists()
    assert not (folders[1] / "logs").exists()


@pytest.mark.skipif(os.name != "posix", reason="there is no SIGKILL")
@pytest.mark.slow
def test_training_resumes_after_a_worker_was_killed(folders, tmp_path):
    """An epoch has 8 steps; the chief ends with an error, and keeps its state; the other worker has none."""
    killed = [tmp_path / "chief", tmp_path / "other"]
    chief, other = start_workers(killed, "fit", "fit")
    deadline = time.monotonic() + 100
    while time.monotonic() < deadline and chief.poll() is None:
        if any(steps_done(state) >= 10 for state in (killed[0] / "work").glob("*")):
            break
        time.sleep(0.02)
    other.send_signal(signal.SIGKILL)
    (status, text), _ = wait_for([chief, other], killed)
    assert status == 1, text
    assert "another worker of TF_CONFIG has stopped" in text
    assert "the training resumes from the last state" in text
    (state,) = (killed[0] / "work").glob("*")
    assert 10 <= steps_done(state) < 24
    results = run_workers(killed, "fit", "fit")
    assert [status for status, _ in results] == [0, 0], results
    assert "resuming at epoch" in results[0][1]
    for folder in killed:
        found, expected = np.load(folder / "fitted.npz"), np.load(folders[0] / "fitted.npz")
        for name in (name for name in found.files if name != "history"):
            np.testing.assert_allclose(found[name], expected[name], rtol=0, atol=1e-6)


@pytest.mark.slow
def test_workers_with_different_settings_are_an_error_on_both(tmp_path):
    for status, text in run_workers([tmp_path / "0", tmp_path / "1"], "fit", "other"):
        assert status == 1, text
        assert "all workers must train with the same windows, settings and versions" in text


ADDRESSES = ["a:1", "b:2"]


def set_cluster(monkeypatch, cluster, task="worker", index=0):
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": cluster, "task": {"type": task, "index": index}}))


@pytest.mark.parametrize(
    ("cluster", "task", "index", "expected"),
    [
        ({"worker": ADDRESSES}, "worker", 0, Cluster(2, 0)),
        ({"worker": ADDRESSES}, "worker", 1, Cluster(2, 1)),
        ({"chief": ["c:3"], "worker": ADDRESSES}, "chief", 0, Cluster(3, 0)),
        ({"chief": ["c:3"], "worker": ADDRESSES}, "worker", 0, Cluster(3, 1)),
        ({"worker": ["a:1"]}, "worker", 0, Cluster(1, 0)),
        ({}, "worker", 0, Cluster(1, 0)),
    ],
)
def test_workers_of_tf_config(monkeypatch, cluster, task, index, expected):
    set_cluster(monkeypatch, cluster, task, index)
    assert read_cluster() == expected
    assert expected.is_chief == (expected.number == 0)


@pytest.mark.parametrize(
    ("cluster", "task", "index", "message"),
    [
        ({"worker": ADDRESSES}, "worker", 2, "the task must be one of the cluster. Received: worker 2"),
        ({"worker": ADDRESSES}, "evaluator", 0, "the task must be one of the cluster. Received: evaluator 0"),
        ({"worker": ADDRESSES, "ps": ["p:1"]}, "worker", 0, "must name workers, and at most one chief"),
        ({"worker": ["a", "b:2"]}, "worker", 0, "must name each worker as HOST:PORT"),
        ({"worker": ["a:1", "a:1"]}, "worker", 0, "must name each worker once"),
        ({"worker": ADDRESSES}, "worker", "first", "must be JSON with cluster and task"),
    ],
)
def test_invalid_tf_config_is_an_error_of_one_line(monkeypatch, cluster, task, index, message):
    set_cluster(monkeypatch, cluster, task, index)
    with pytest.raises(AMSLError, match=message) as error:
        read_cluster()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["{", "[]", '{"cluster": {"worker": ["a:1", "b:2"]}}', '{"cluster": 3}'])
def test_tf_config_that_is_not_json_of_a_cluster(monkeypatch, text):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(AMSLError, match="must be JSON with cluster and task"):
        read_cluster()


def test_workers_after_tensorflow_has_started_are_an_error(waves, monkeypatch):
    import tensorflow as tf

    tf.zeros(1)
    set_cluster(monkeypatch, {"worker": ["127.0.0.1:1", "127.0.0.1:2"]})
    with pytest.raises(AMSLError, match="TensorFlow has already computed in this process") as error:
        make_detector(epochs=1).fit(waves)
    assert "\n" not in str(error.value)


def test_nothing_is_distributed_without_a_network(monkeypatch):
    set_cluster(monkeypatch, {"worker": ["127.0.0.1:1", "127.0.0.1:2"]})
    assert not distribution.is_multi_worker(make_strategy(trains=False))


if __name__ == "__main__":
    logging.basicConfig()
    logging.getLogger("amsl_tf").setLevel("INFO")
    place, chosen = Path(sys.argv[1]), sys.argv[2].split(",")
    if "record" in chosen:
        record_all(place)
    if "fit" in chosen:
        fit_detector(place)
    if "other" in chosen:
        fit_detector(place, learning_rate=0.5)
