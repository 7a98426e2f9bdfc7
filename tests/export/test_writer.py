"""The SavedModel has the results of the detector, needs nothing of this package, and is written completely or not at all."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

from amsl_tf.data.channel_states import MISSING
from amsl_tf.errors import AMSLError
from amsl_tf.export.layout import ABOUT, WARMUP, versions
from amsl_tf.export.saved_model import ExportedModel
from amsl_tf.export.writer import WARMUP_BATCHES, export_detector
from tests.conftest import close, make_detector


@pytest.fixture(scope="module")
def signatures(exported):
    return tf.saved_model.load(str(exported)).signatures


@pytest.mark.parametrize("count", [1, 7, 40])
def test_decisions_are_those_of_the_detector(detector, signatures, waves, count):
    outputs = signatures["serving_default"](windows=tf.constant(waves[:count]))
    close(outputs["score"].numpy(), detector.decision_function(waves[:count]))
    assert outputs["is_anomaly"].numpy().tolist() == detector.predict(waves[:count]).astype(bool).tolist()
    assert outputs["valid"].numpy().all()


def test_explanations_are_those_of_the_detector(detector, signatures, waves):
    outputs = signatures["explain"](windows=tf.constant(waves[:5]))
    for name, expected in detector.explain(waves[:5])._asdict().items():
        np.testing.assert_allclose(outputs[name].numpy(), expected, atol=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e31])
def test_missing_values(detector, signatures, waves, bad):
    windows, dead = waves[:3].copy(), waves[:3].copy()
    windows[0, 5, 2], dead[0, :, 2] = bad, 0  # a channel with a missing value is like a dead one
    windows[1, 7] = bad  # no channel is usable
    outputs = {name: value.numpy() for name, value in signatures["serving_default"](windows=tf.constant(windows)).items()}
    alone = signatures["serving_default"](windows=tf.constant(dead))["score"].numpy()
    assert outputs["valid"].tolist() == [False, False, True]
    assert outputs["is_anomaly"][:2].all()
    assert np.isnan(outputs["score"]).tolist() == [False, True, False]
    close(outputs["score"][[0, 2]], alone[[0, 2]])
    explained = {name: value.numpy() for name, value in signatures["explain"](windows=tf.constant(windows)).items()}
    assert explained.pop("health").tolist() == [[0, 0, MISSING], [MISSING] * 3, [0, 0, 0]]
    nearest = detector.explain(dead).nearest
    assert explained.pop("nearest").tolist() == [nearest[0], -1, nearest[2]]
    for values in explained.values():
        finite = np.isfinite(values)
        assert finite[[0, 2]].all()
        assert not finite[1].any()


def test_empty_batch_is_an_error(signatures):
    with pytest.raises(tf.errors.InvalidArgumentError, match="at least one window"):
        signatures["serving_default"](windows=tf.zeros((0, 24, 3)))


def test_reconstruction_score(waves):
    plain = make_detector(views=["raw"], self_supervision=False, num_slots=8, epochs=1, score="reconstruction").fit(waves)
    decide = ExportedModel(plain).functions["serving_default"]
    close(decide(tf.constant(waves))["score"].numpy(), plain.decision_function(waves))


def test_warmup_has_every_signature_and_training_windows(exported, signatures, waves):
    seen = set()
    for record in tf.data.TFRecordDataset(str(exported / WARMUP)):
        request = PredictionLog.FromString(record.numpy()).predict_log.request
        windows = tf.make_ndarray(request.inputs["windows"])
        seen.add((request.model_spec.signature_name, len(windows)))
        assert request.model_spec.name == "waves"
        assert all((window == waves).all(axis=(1, 2)).any() for window in windows)
        signatures[request.model_spec.signature_name](windows=tf.constant(windows))
    assert seen == {(name, count) for name in signatures for count in WARMUP_BATCHES}


def test_model_json(exported, detector):
    metadata = json.loads((exported / ABOUT).read_text())
    assert (metadata["steps"], metadata["channels"], metadata["threshold"]) == (24, 3, detector.threshold_)
    assert metadata["channel_names"] == ["x", "y", "z"]
    assert metadata["data"]["sha256"] == detector.data_["sha256"]


def test_versions_are_consecutive(detector, tmp_path, monkeypatch):
    model = tmp_path / "model"
    for name in ("3", "007", "old", ".9", "9" * 20):
        (model / name).mkdir(parents=True)
    (model / "8").write_text("a file is not a version, but occupies the name")
    monkeypatch.setattr("tensorflow.saved_model.save", lambda module, folder, **_: Path(folder).mkdir())
    assert versions(model) == {3: model / "3", 7: model / "007"}
    assert export_detector(detector, model) == model / "9"
    assert export_detector(detector, model) == model / "10"
    (tmp_path / "zero/0").mkdir(parents=True)
    assert export_detector(detector, tmp_path / "zero") == tmp_path / "zero/1"


def test_failed_export_leaves_no_files(detector, tmp_path, monkeypatch):
    monkeypatch.setattr("amsl_tf.export.writer.write_json", lambda *_: (_ for _ in ()).throw(OSError("the disk is full")))
    monkeypatch.setattr("tensorflow.saved_model.save", lambda module, folder, **_: Path(folder).mkdir())
    with pytest.raises(AMSLError, match=r"cannot be written \(the disk is full\)"):
        export_detector(detector, tmp_path / "new")
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").touch()
    with pytest.raises(AMSLError, match="is not a folder"):
        export_detector(detector, tmp_path / "file")
    with pytest.raises(AMSLError, match="holds file, and no version of a model"):
        export_detector(detector, tmp_path)


@pytest.mark.slow
def test_saved_model_cli_runs_it_without_this_package(exported, detector, waves, tmp_path):
    np.save(tmp_path / "windows.npy", waves[:2])
    tool = Path(sys.executable).with_name("saved_model_cli")
    command = [tool, "run", "--dir", exported, "--tag_set", "serve", "--signature_def", "serving_default"]
    command += ["--inputs", f"windows={tmp_path}/windows.npy", "--outdir", tmp_path, "--overwrite"]
    subprocess.run([str(part) for part in command], cwd=tmp_path, check=True, capture_output=True)
    close(np.load(tmp_path / "score.npy"), detector.decision_function(waves[:2]))


@pytest.mark.slow
def test_openvino_runs_the_network(detector, waves, tmp_path):
    openvino = pytest.importorskip("openvino", reason="openvino is not installed (pip install 'amsl_tf[test]')")
    network = detector.pipeline.network
    network.export(tmp_path / "network", verbose=False)
    compiled = openvino.compile_model(openvino.Core().read_model(tmp_path / "network"), "CPU")
    views = {tensor.name: np.random.default_rng(0).random((3, 24, 3), np.float32) for tensor in network.inputs}
    expected = network(views, training=False)["reconstruction"].numpy()
    outputs = [value for value in compiled(list(views.values())).values() if value.shape == expected.shape]
    assert any(np.abs(value - expected).max() < 1e-5 for value in outputs)
