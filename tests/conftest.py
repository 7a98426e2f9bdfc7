"""Shared fixtures and helpers."""

import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def log_level():
    """Undoes what a command in this process sets, such as `--quiet`."""
    yield
    logging.getLogger("amsl_tf").setLevel(logging.NOTSET)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


@pytest.fixture(scope="session")
def waves() -> np.ndarray:
    """40 small normal windows (24 time steps, 3 channels): sines of one frequency with noise."""
    generator = np.random.default_rng(3)
    time = np.arange(24) / 6
    phase = generator.uniform(0, 2 * np.pi, (40, 1, 1))
    return (np.sin(time[None, :, None] + phase + np.arange(3)) + generator.normal(0, 0.05, (40, 24, 3))).astype(np.float32)


def make_detector(network: str = "amsl", **settings):
    """Makes an unfitted detector from flat settings of network, training and detector, with both of its scores by default."""
    from amsl_tf import AMSLDetector, DetectorConfig

    other_scores = {"nearest_normal": "reconstruction", "reconstruction": "nearest_normal"}
    score = settings.setdefault("score", "nearest_normal")
    settings.setdefault("extra_scores", [other_scores[score]] if score in other_scores else [])
    return AMSLDetector.from_config(DetectorConfig.from_settings(network, **settings))


@pytest.fixture(scope="session")
def detector(waves):
    """A small detector with memories, self-supervision and both scores, fitted to the subjects a, b, c and d."""
    from amsl_tf import AMSLConfig, AMSLDetector

    network = AMSLConfig(views=["raw", "noise"], num_slots=8)
    settings = {"epochs": 1, "axes": 3, "channel_names": ["x", "y", "z"]}
    scores = {"score": "nearest_normal", "extra_scores": ["reconstruction"]}
    return AMSLDetector(network, **settings, **scores).fit(waves, groups=np.tile(["a", "b", "c", "d"], 10))


@pytest.fixture(scope="session")
def exported(detector, tmp_path_factory) -> Path:
    """The first version of the model `waves`, exported from `detector`."""
    from amsl_tf.export import export_detector

    return export_detector(detector, tmp_path_factory.mktemp("serving") / "waves")


@pytest.fixture(scope="session")
def evaluated(detector, waves, tmp_path_factory):
    """A folder with `detector`, `data` and `results`; the test windows have false positives and false negatives."""
    from amsl_tf.data.store import TEST_ABNORMAL, TEST_NORMAL, TRAIN, write_index
    from amsl_tf.data.windows import Windows
    from amsl_tf.evaluation.results import write_results

    folder = tmp_path_factory.mktemp("evaluated")
    detector.save(folder / "detector")
    generator = np.random.default_rng(0)
    normal = np.concatenate([waves[:10], waves[:2] + generator.normal(0, 2, (2, 24, 3))]).astype(np.float32)
    abnormal = np.concatenate([waves[10:12], 5 * generator.normal(size=(8, 24, 3))]).astype(np.float32)
    scored = {}
    for part, x in ((TRAIN, waves), (TEST_NORMAL, normal), (TEST_ABNORMAL, abnormal)):
        activity = np.full(len(x), "a05" if part is TEST_ABNORMAL else "<script>alert(1)</script>")
        windows = Windows(x, activity, np.resize(["p1", "p2"], len(x)), np.full(len(x), "s01"))
        file = part.file(folder / "data", "raw")
        file.parent.mkdir(parents=True)
        np.save(file, windows.x)
        write_index(part.index(folder / "data"), windows.columns())
        scored[part] = (windows, detector.training_scores_ if part is TRAIN else detector.score_components(x))
    run = {
        "protocol": "subject",
        "seed": 0,
        "test_subjects": ["p1", "p2"],
        "input": str(folder / "data"),
        "versions": {"numpy": "2"},
    }
    write_results(folder / "results", {**run, "fingerprint": detector.data_["fingerprint"]}, scored)
    return folder


def stop_after(monkeypatch: pytest.MonkeyPatch, steps: int, kept: int) -> None:
    """Interrupts a training after `steps` steps; no state after the first `kept` steps is saved."""
    from amsl_tf.training import loop

    count, save = iter(range(1, steps + 1)), loop._State._save
    monkeypatch.setattr(loop._State, "_save", lambda state: save(state) if int(state._done) <= kept else None)
    on_train_batch_end = loop._State.on_train_batch_end

    def stop(state, batch, logs=None):
        on_train_batch_end(state, batch, logs)
        if next(count) == steps:
            raise KeyboardInterrupt

    monkeypatch.setattr(loop._State, "on_train_batch_end", stop)


def close(found: np.ndarray, expected: np.ndarray) -> None:
    """Asserts that scores agree: max |difference| / mean |score| <= 1e-5."""
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).mean()


@pytest.fixture(scope="session")
def dsads() -> Path:
    """The root folder of the DSADS data set, or of a part of it."""
    return Path(os.environ["AMSL_TF_DSADS"])


@pytest.fixture(scope="session")
def series_folder() -> Path:
    """The folder with parts of the data sets of series: skab, smd, smap_msl, asd, tep and tsb_ad."""
    return Path(os.environ["AMSL_TF_SERIES"])


def run_python(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs Python in the root folder of the repository, and waits for its end."""
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def steps_done(state: Path) -> int:
    """Returns the number of training steps of the newest checkpoint in a folder, 0 if there is none."""
    import tensorflow as tf

    newest = tf.train.latest_checkpoint(state)
    try:
        return int(tf.train.load_variable(newest, "done/.ATTRIBUTES/VARIABLE_VALUE")) if newest else 0
    except tf.errors.OpError:  # replaced by a newer checkpoint in the meantime
        return 0


def kill_when(process, work_dir, steps):
    """Sends SIGKILL once there is a checkpoint of at least `steps` steps."""
    deadline = time.monotonic() + 300
    while process.poll() is None and time.monotonic() < deadline:
        if any(steps_done(state) >= steps for state in work_dir.glob("*")):
            break
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "the training ended before it could be killed"
