"""Training: resuming after SIGKILL with bit-for-bit identical weights, float16, divergence."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from amsl_tf.errors import AMSLError
from amsl_tf.training import loop
from tests.conftest import ROOT, kill_when, make_detector, steps_done

SETTINGS = {"views": ["raw", "noise"], "num_slots": 5, "mixed_precision": "off", "seed": 1}


def fit_with_checkpoints(windows, work_dir, log_dir=None, **settings):
    """Fits a detector, with a checkpoint after every step."""
    detector = make_detector(**{**SETTINGS, "epochs": 3, "batch_size": 4, **settings})
    return detector.fit(windows, work_dir=work_dir, log_dir=log_dir, checkpoint_seconds=0.0)


def weights_of(detector):
    return detector.pipeline.network.get_weights()


@pytest.mark.skipif(os.name != "posix", reason="there is no SIGKILL")
@pytest.mark.slow
def test_training_resumes_after_sigkill(waves, tmp_path):
    """Killed twice, in the middle of the first and of the second epoch; an epoch has 8 steps.

    TensorBoard's curves have the same points as without interruption, each once.
    """
    np.save(tmp_path / "windows.npy", waves)
    work, logs = tmp_path / "work", tmp_path / "logs"
    for steps in (3, 11):
        command = [sys.executable, __file__, str(tmp_path / "windows.npy"), str(work), str(logs)]
        kill_when(subprocess.Popen(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}), work, steps)
    (state,) = work.glob("*")
    assert 11 <= steps_done(state) < 24
    resumed = fit_with_checkpoints(waves, work, logs)
    uninterrupted = make_detector(**SETTINGS, epochs=3, batch_size=4).fit(waves)
    for one, other in zip(weights_of(resumed), weights_of(uninterrupted), strict=True):
        np.testing.assert_array_equal(one, other)
    assert resumed.history_["val_loss"] == pytest.approx(uninterrupted.history_["val_loss"], rel=1e-6)
    found = []
    for file in logs.glob("*/validation/events*"):
        for event in tf.compat.v1.train.summary_iterator(str(file)):
            found += [event.step for value in event.summary.value if value.tag == "loss/total"]
    assert sorted(found) == [8, 16, 24]
    resumed.discard_work()
    assert not work.exists()


@pytest.mark.slow
def test_finished_training_is_reused_for_equal_settings_only(waves, tmp_path):
    first = fit_with_checkpoints(waves, tmp_path / "work", epochs=1)
    repeated = fit_with_checkpoints(waves, tmp_path / "work", epochs=1)
    assert repeated.history_ == first.history_
    assert all(np.array_equal(*pair) for pair in zip(weights_of(first), weights_of(repeated), strict=True))
    fit_with_checkpoints(waves, tmp_path / "work", epochs=1, seed=2)
    assert len(list((tmp_path / "work").iterdir())) == 2


def test_brackets_in_work_dir_are_an_error(waves, tmp_path):
    with pytest.raises(AMSLError, match=r"must not contain \[ or \]"):
        fit_with_checkpoints(waves, tmp_path / "run[1]", epochs=1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_float16_with_loss_scaling(waves, monkeypatch):
    """20 steps in float16 on the CPU."""
    wrapped = []
    scaled = keras.optimizers.LossScaleOptimizer
    monkeypatch.setattr(keras.optimizers, "LossScaleOptimizer", lambda inner: wrapped.append(scaled(inner)) or wrapped[0])
    detector = make_detector(**{**SETTINGS, "mixed_precision": "float16", "epochs": 5, "batch_size": 8}).fit(waves)
    assert int(wrapped[0].inner_optimizer.iterations) > 10  # the other steps lowered the scale
    assert float(wrapped[0].dynamic_scale) > 1
    assert len(detector.history_["loss"]) == 5
    assert all(np.isfinite(values).all() for values in detector.history_.values())
    assert all(np.isfinite(weights).all() for weights in weights_of(detector))
    assert detector.history_["reconstruction_loss"][-1] < detector.history_["reconstruction_loss"][0]


def test_divergence_is_an_error(waves):
    with pytest.raises(AMSLError, match=r"training diverged: .* Lower the learning rate"):
        make_detector(**SETTINGS, epochs=3, learning_rate=1e30).fit(waves)


def test_full_disk_keeps_the_last_state(waves, tmp_path, monkeypatch, caplog):
    """After four of eight steps of an epoch; the same call resumes once there is space."""
    count, reserve = iter(range(99)), loop.reserve_space

    def reserve_while_there_is_space(folder, size):
        if next(count) >= 4:
            raise OSError(errno.ENOSPC, "No space left on device")
        reserve(folder, size)

    with monkeypatch.context() as patched:
        patched.setattr(loop, "reserve_space", reserve_while_there_is_space)
        with pytest.raises(AMSLError, match=r"cannot be written \(No space left on device\)\. Make room"):
            fit_with_checkpoints(waves, tmp_path / "work", epochs=1)
    (state,) = tmp_path.glob("work/*")
    assert steps_done(state) == 4
    with caplog.at_level("INFO"):
        fit_with_checkpoints(waves, tmp_path / "work", epochs=1)
    assert "resuming at epoch 1, step 5" in caplog.text


def test_damaged_best_weights_are_an_error(waves, tmp_path):
    fit_with_checkpoints(waves, tmp_path / "work", epochs=1)
    (best,) = tmp_path.glob("work/*/best.weights.h5")
    best.write_bytes(best.read_bytes()[:1000])
    with pytest.raises(AMSLError, match=r"best.weights.h5: the best weights cannot be read .* to train from the start"):
        fit_with_checkpoints(waves, tmp_path / "work", epochs=1)


if __name__ == "__main__":
    fit_with_checkpoints(np.load(sys.argv[1]), Path(sys.argv[2]), log_dir=Path(sys.argv[3]))
