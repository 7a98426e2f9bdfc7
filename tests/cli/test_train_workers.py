"""`amsl train` on several machines: the chief alone writes."""

import json
import os
import socket
import subprocess
import sys

import pytest

from amsl_tf.datasets.synthetic import write_tree
from tests.cli.conftest import assert_error, run
from tests.conftest import ROOT


@pytest.fixture(scope="module")
def transformed(tmp_path_factory):
    """A folder with the views of a small synthetic data set."""
    folder = tmp_path_factory.mktemp("workers")
    write_tree(folder / "DASADS", subjects=2, segments=2)
    generated = folder / "generate"
    assert run("preprocess", "--dataset", "dsads", "--source", folder / "DASADS", "--output", generated, "--quiet") == 0
    assert run("transform", "--input", generated, "--output", folder / "transform", "--quiet") == 0
    return folder / "transform"


def arguments_of(transformed, folder):
    places = {"detector": folder / "detector", "results": folder / "results", "log-dir": folder / "logs"}
    return ["--input", transformed, *(item for name, place in places.items() for item in (f"--{name}", place))]


def test_a_worker_other_than_the_chief_writes_nothing(transformed, tmp_path, monkeypatch, capsys):
    task = {"cluster": {"worker": ["127.0.0.1:1", "127.0.0.1:2"]}, "task": {"type": "worker", "index": 1}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(task))
    assert run("train", *arguments_of(transformed, tmp_path), "--network", "none") == 0
    assert "worker 1 of 2: trained; worker 0, the chief, writes detector and scores" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


def test_invalid_tf_config_is_an_error(transformed, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TF_CONFIG", "{")
    assert_error(capsys, run("train", *arguments_of(transformed, tmp_path)), "TF_CONFIG must be JSON with cluster and task")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_two_workers(transformed, tmp_path):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    cluster = {"worker": [f"127.0.0.1:{item.getsockname()[1]}" for item in sockets]}
    for item in sockets:
        item.close()
    settings = ["--views", "raw", "--filters", 4, "--latent-features", 4, "--num-slots", 5, "--epochs", 1, "--batch-size", 8]
    command = [sys.executable, "-m", "amsl_tf", "train", *arguments_of(transformed, tmp_path), *settings]
    workers = []
    for index in range(2):
        task = {"cluster": cluster, "task": {"type": "worker", "index": index}}
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CONFIG": json.dumps(task)}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        workers.append(subprocess.Popen([*map(str, command)], cwd=ROOT, env=environment, **pipes))
    outputs = [worker.communicate(timeout=200) for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], outputs
    assert "worker 1 of 2: trained" in outputs[1][0]
    assert "epoch 1/1" in outputs[0][1]
    assert "epoch 1/1" not in outputs[1][1]
    assert sorted(item.name for item in tmp_path.iterdir()) == ["detector", "logs", "results"]
