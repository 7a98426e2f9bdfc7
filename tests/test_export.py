"""A SavedModel decides as the detector does, needs nothing of this package, and appears whole or not at all."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

from amsl_tf import AMSLDetector
from amsl_tf.errors import AMSLError
from amsl_tf.export import WARMUP_BATCHES, export_detector
from amsl_tf.served import ABOUT, WARMUP, versions
from amsl_tf.served_model import ServedModel
from tests.conftest import close


@pytest.fixture(scope="module")
def signatures(exported):
    return tf.saved_model.load(str(exported)).signatures


@pytest.mark.parametrize("count", [1, 7, 40])
def test_it_decides_as_the_detector_does(detector, signatures, waves, count):
    made = signatures["serving_default"](windows=tf.constant(waves[:count]))
    close(made["score"].numpy(), detector.decision_function(waves[:count]))
    assert made["is_anomaly"].numpy().tolist() == detector.predict(waves[:count]).astype(bool).tolist()
    assert made["valid"].numpy().all()


def test_it_explains_as_the_detector_does(detector, signatures, waves):
    made = signatures["explain"](windows=tf.constant(waves[:5]))
    for name, expected in detector.explain(waves[:5])._asdict().items():
        np.testing.assert_allclose(made[name].numpy(), expected, atol=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e31])
def test_a_bad_window_does_not_touch_its_neighbours(signatures, waves, bad):
    windows = waves[:3].copy()
    windows[1, 5, 2] = bad
    made = {name: value.numpy() for name, value in signatures["serving_default"](windows=tf.constant(windows)).items()}
    alone = signatures["serving_default"](windows=tf.constant(waves[:3]))["score"].numpy()
    assert made["valid"].tolist() == [True, False, True]
    assert made["is_anomaly"][1]
    assert np.isnan(made["score"][1])
    close(made["score"][[0, 2]], alone[[0, 2]])
    for values in signatures["explain"](windows=tf.constant(windows)).values():
        finite = np.isfinite(values.numpy().reshape(3, -1))
        assert finite[[0, 2]].all()
        assert not finite[1].any()


def test_an_empty_batch_is_refused(signatures):
    with pytest.raises(tf.errors.InvalidArgumentError, match="at least one window"):
        signatures["serving_default"](windows=tf.zeros((0, 24, 3)))


def test_the_other_score(waves):
    plain = AMSLDetector(views=["raw"], self_supervision=False, num_slots=8, epochs=1, score="reconstruction").fit(waves)
    decide = ServedModel(plain).functions["serving_default"]
    close(decide(tf.constant(waves))["score"].numpy(), plain.decision_function(waves))


def test_warm_up_runs_every_signature_on_training_windows(exported, signatures, waves):
    seen = set()
    for record in tf.data.TFRecordDataset(str(exported / WARMUP)):
        request = PredictionLog.FromString(record.numpy()).predict_log.request
        windows = tf.make_ndarray(request.inputs["windows"])
        seen.add((request.model_spec.signature_name, len(windows)))
        assert request.model_spec.name == "waves"
        assert all((window == waves).all(axis=(1, 2)).any() for window in windows)
        signatures[request.model_spec.signature_name](windows=tf.constant(windows))
    assert seen == {(name, count) for name in signatures for count in WARMUP_BATCHES}


def test_the_page_beside_it(exported, detector):
    about = json.loads((exported / ABOUT).read_text())
    assert (about["steps"], about["channels"], about["threshold"]) == (24, 3, detector.threshold_)
    assert about["channel_names"] == ["x", "y", "z"]
    assert about["data"]["sha256"] == detector.data_["sha256"]


def test_versions_follow_each_other(detector, tmp_path, monkeypatch):
    model = tmp_path / "model"
    for name in ("3", "007", "old", ".9", "9" * 20):
        (model / name).mkdir(parents=True)
    (model / "8").write_text("a file is no version, but its name is taken")
    monkeypatch.setattr("tensorflow.saved_model.save", lambda module, folder, signatures: Path(folder).mkdir())
    assert versions(model) == {3: model / "3", 7: model / "007"}
    assert export_detector(detector, model) == model / "9"
    assert export_detector(detector, model) == model / "10"
    (tmp_path / "zero/0").mkdir(parents=True)
    assert export_detector(detector, tmp_path / "zero") == tmp_path / "zero/1"


def test_a_failed_export_leaves_nothing(detector, tmp_path, monkeypatch):
    monkeypatch.setattr("amsl_tf.export.write_json", lambda *_: (_ for _ in ()).throw(OSError("the disk is full")))
    monkeypatch.setattr("tensorflow.saved_model.save", lambda module, folder, signatures: Path(folder).mkdir())
    with pytest.raises(OSError, match="the disk is full"):
        export_detector(detector, tmp_path / "new")
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").touch()
    with pytest.raises(AMSLError, match="is no folder"):
        export_detector(detector, tmp_path / "file")
    with pytest.raises(AMSLError, match="holds file, and no version of a model"):
        export_detector(detector, tmp_path)


@pytest.mark.slow
def test_tensorflows_own_tool_runs_it_without_this_package(exported, detector, waves, tmp_path):
    np.save(tmp_path / "windows.npy", waves[:2])
    tool = Path(sys.executable).with_name("saved_model_cli")
    command = [tool, "run", "--dir", exported, "--tag_set", "serve", "--signature_def", "serving_default"]
    command += ["--inputs", f"windows={tmp_path}/windows.npy", "--outdir", tmp_path, "--overwrite"]
    subprocess.run([str(part) for part in command], cwd=tmp_path, check=True, capture_output=True)
    close(np.load(tmp_path / "score.npy"), detector.decision_function(waves[:2]))


@pytest.mark.slow
def test_an_independent_runtime_runs_the_network(detector, waves, tmp_path):
    openvino = pytest.importorskip("openvino", reason="openvino is not installed (requirements-test.txt has it)")
    network = detector.scoring_path.network
    network.export(tmp_path / "network", verbose=False)
    compiled = openvino.compile_model(openvino.Core().read_model(tmp_path / "network"), "CPU")
    views = {tensor.name: np.random.default_rng(0).random((3, 24, 3), np.float32) for tensor in network.inputs}
    expected = network(views, training=False)["reconstruction"].numpy()
    found = [value for value in compiled(list(views.values())).values() if value.shape == expected.shape]
    assert any(np.abs(value - expected).max() < 1e-5 for value in found)
