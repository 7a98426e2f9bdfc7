"""Detectors without a network: everything that they can do, and errors for what they cannot."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from sklearn.base import clone

from amsl_tf import AMSLDetector, DetectorConfig, TrainingConfig
from amsl_tf.errors import AMSLError, DataError
from amsl_tf.export.writer import export_detector
from tests.conftest import close

GROUPS = np.tile(["a", "b", "c", "d"], 10)
OPERATIONS = Path(__file__).parent / "fixtures/operations.txt"  # of the TensorFlow graph of an export


@pytest.fixture(scope="module")
def fitted(waves):
    return AMSLDetector(seed=1).fit(waves, groups=GROUPS)


def test_fit_and_score(fitted, waves):
    assert fitted.config.network is None
    assert fitted.history_ == {}
    assert fitted.usual_error_ is None
    assert fitted.training_scores_.keys() == {"ensemble"}
    assert fitted.data_["precision"] is None
    assert fitted.window_shape == (24, 3)
    assert fitted.decision_function(waves).dtype == np.float32
    assert fitted.predict(3 * waves).all()
    assert fitted.labels_.mean() < 0.1
    abnormal = fitted.detect(3 * waves)
    assert abnormal.keys() == {"score", "is_anomaly", "valid", "health"}
    np.testing.assert_array_equal(abnormal["score"], fitted.decision_function(3 * waves))
    assert fitted.score_components(waves).keys() == {"ensemble"}


def test_a_single_window_is_flagged_by_its_shape(fitted, waves):
    """Twice the frequency: the values are as usual."""
    fast = np.concatenate([waves[:, ::2], waves[:, ::2]], axis=1)
    assert fitted.predict(fast).mean() > 0.9


def test_scores_do_not_depend_on_the_batch(fitted, waves):
    alone = np.concatenate([fitted.decision_function(2 * waves[row : row + 1]) for row in range(10)])
    close(alone, fitted.decision_function(2 * waves)[:10])


def test_nearest(fitted, waves):
    np.testing.assert_array_equal(fitted.nearest(waves + 0.001), np.arange(40))


def test_invalid_windows(fitted, waves):
    """Without a usable channel they have no score; the others are not affected."""
    x = 2 * waves[:4]
    x[1, 3], x[2, 0] = np.nan, np.inf
    found = fitted.detect(x)
    assert found["valid"].tolist() == [True, False, False, True]
    assert np.isnan(found["score"][1:3]).all()
    close(found["score"][[0, 3]], fitted.decision_function(2 * waves[[0, 3]]))
    for invalid in (x, waves[:, :20], waves[0]):
        with pytest.raises(DataError, match="windows"):
            fitted.decision_function(invalid)


def test_save_and_load(fitted, waves, tmp_path):
    fitted.save(tmp_path / "saved")
    assert {file.name for file in (tmp_path / "saved").iterdir()} == {"data.json", "metrics.json", "config.json", "state.npz"}
    loaded = AMSLDetector.load(tmp_path / "saved")
    assert loaded.config == fitted.config
    assert loaded.usual_error_ is None
    assert (loaded.threshold_, loaded.data_, loaded.history_) == (fitted.threshold_, fitted.data_, fitted.history_)
    np.testing.assert_array_equal(loaded.decision_function(2 * waves), fitted.decision_function(2 * waves))
    np.testing.assert_array_equal(loaded.nearest(waves), fitted.nearest(waves))
    np.testing.assert_array_equal(loaded.decision_scores_, fitted.decision_scores_)
    loaded.set_false_alarm_rate(0.3)
    assert loaded.threshold_ == pickle.loads(pickle.dumps(fitted)).set_false_alarm_rate(0.3).threshold_
    loaded.save(tmp_path / "saved")
    np.testing.assert_array_equal(AMSLDetector.load(tmp_path / "saved").decision_scores_, fitted.decision_scores_)


def test_detector_with_a_network_is_replaced(detector, fitted, waves, tmp_path):
    """The weights of the network are not left behind, and the other way round."""
    detector.save(tmp_path / "saved")
    fitted.save(tmp_path / "saved")
    assert AMSLDetector.load(tmp_path / "saved").config.network is None
    assert not list((tmp_path / "saved").glob("*weights*"))
    detector.save(tmp_path / "saved")
    np.testing.assert_array_equal(AMSLDetector.load(tmp_path / "saved").predict(waves), detector.predict(waves))


@pytest.mark.parametrize("name", ["state.npz", "data.json"])
def test_broken_files_are_errors(name, fitted, tmp_path):
    fitted.save(tmp_path / "saved")
    file = tmp_path / "saved" / name
    file.write_bytes(file.read_bytes()[:-10])
    with pytest.raises(AMSLError) as caught:
        AMSLDetector.load(tmp_path / "saved")
    assert "\n" not in str(caught.value)
    assert str(tmp_path / "saved") in str(caught.value)


def test_clone_and_pickle(fitted, waves):
    copy = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(copy.decision_function(2 * waves), fitted.decision_function(2 * waves))
    again = clone(fitted)
    assert again.get_params() == fitted.get_params()
    assert not hasattr(again, "pipeline_")
    np.testing.assert_array_equal(again.fit(waves, groups=GROUPS).decision_scores_, fitted.decision_scores_)


def test_export(fitted, waves, tmp_path):
    version = export_detector(fitted, tmp_path / "model")
    served = tf.saved_model.load(str(version)).signatures
    assert set(served) == {"serving_default", "explain"}
    x = 2 * waves
    x[1, 0, 0] = np.nan
    found = {name: value.numpy() for name, value in served["serving_default"](windows=tf.constant(x)).items()}
    expected = fitted.detect(x)
    assert found.keys() == expected.keys()
    np.testing.assert_array_equal(found["valid"], expected["valid"])
    np.testing.assert_array_equal(found["is_anomaly"], expected["is_anomaly"])
    close(found["score"][2:], expected["score"][2:])
    requests = list(tf.data.TFRecordDataset(str(version / "assets.extra" / "tf_serving_warmup_requests")))
    assert len(requests) > 1
    assert sum(b"explain" in request.numpy() for request in requests) == len(requests) / 2


def test_false_alarm_rate(fitted):
    copy = pickle.loads(pickle.dumps(fitted))
    thresholds = [copy.set_false_alarm_rate(rate).threshold_ for rate in (0.02, 0.1, 0.5)]
    assert thresholds[0] == fitted.threshold_
    assert thresholds[0] >= thresholds[1] > thresholds[2]


@pytest.mark.parametrize("network", [None, "none"])
def test_settings_as_text(network, fitted, waves):
    config = DetectorConfig.from_settings(network, score="ensemble", members=["levels"], seed=3)
    assert config == DetectorConfig(
        None, TrainingConfig(epochs=config.training.epochs, seed=3), "ensemble", members=("levels",)
    )
    detector = AMSLDetector(network, score="ensemble", seed=1).fit(waves, groups=GROUPS)
    np.testing.assert_array_equal(detector.decision_scores_, fitted.decision_scores_)
    assert AMSLDetector.from_config(detector.config).config == detector.config == fitted.config


def test_settings_round_trip_through_json():
    config = DetectorConfig(None, score="ensemble", members=["kernels", "levels"], channel_names=["x"])
    assert DetectorConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    flat = config.flat()
    assert (flat["network"], flat["members"], flat["score"]) == ("none", "kernels levels", "ensemble")
    assert config.views == ()


def test_unknown_settings_are_errors():
    with pytest.raises(AMSLError, match=r"^unexpected parameter 'num_slots' for network None; the parameters are axes, "):
        DetectorConfig.from_settings(None, num_slots=3)
    for members in ([], "levels", ["levels", "levels"], [3]):
        with pytest.raises(AMSLError, match=r"^members must "):
            DetectorConfig(None, score="ensemble", members=members)


@pytest.mark.parametrize(
    "settings",
    [{"score": "nearest_normal"}, {"score": "reconstruction"}, {"score": "ensemble", "extra_scores": ["reconstruction"]}],
)
def test_scores_that_need_a_network_are_errors(settings, waves):
    detector = AMSLDetector(**settings)
    with pytest.raises(AMSLError, match=r"^the score '(nearest_normal|reconstruction)' needs a network\. .* score='ensemble'"):
        detector.fit(waves)
    assert not hasattr(detector, "pipeline_")


@pytest.mark.parametrize("name", ["weights", "log_dir", "work_dir", "views", "abnormal"])
def test_arguments_of_the_training_are_errors(name, waves, tmp_path):
    given = {"views": {"raw": waves}, "abnormal": waves}.get(name, tmp_path / name)
    detector = AMSLDetector()
    with pytest.raises(AMSLError, match=rf"^nothing is trained without a network\. Received: network=None and {name}\. "):
        detector.fit(waves, **{name: given})
    assert not hasattr(detector, "pipeline_")
    assert list(tmp_path.iterdir()) == []


def test_reconstruct_is_an_error(fitted, waves):
    with pytest.raises(
        AMSLError, match=r"^reconstruct needs a network\. Fit a detector with one, such as AMSLDetector\('amsl'\)\.$"
    ):
        fitted.reconstruct(waves)


@pytest.mark.parametrize("network", [None, "cae"])
def test_unknown_members_are_errors_before_anything_is_fitted(network, waves, monkeypatch):
    monkeypatch.setattr("amsl_tf.detector.fit_network", lambda *arguments, **settings: pytest.fail("it was trained"))
    detector = AMSLDetector(network, score="ensemble", members=["levels", "no_such"])
    with pytest.raises(AMSLError, match=r"^member must be one of levels, powers, kernels\. Received: 'no_such'\.$"):
        detector.fit(waves)


def test_network_that_no_score_uses_is_a_warning(waves, caplog):
    AMSLDetector("cae", epochs=1, mixed_precision="off").fit(waves)
    assert caplog.messages[0].startswith("the network cae is trained, but the score ensemble does not use it: choose score=")
    caplog.clear()
    AMSLDetector("cae", epochs=1, mixed_precision="off", extra_scores=["reconstruction"]).fit(waves)
    assert not any("does not use it" in message for message in caplog.messages)


def test_operations_of_the_export(fitted, tmp_path):
    """TensorFlow Serving has all of these; parsers of text, Python functions and custom operations are not among them."""
    version = export_detector(fitted, tmp_path / "model")
    graph = tf.saved_model.load(str(version))
    used = set()
    for signature in graph.signatures.values():
        definition = signature.graph.as_graph_def()
        used |= {node.op for node in definition.node}
        used |= {node.op for function in definition.library.function for node in function.node_def}
    assert used <= set(OPERATIONS.read_text().split())


@pytest.mark.parametrize("value", [0.0, -3.0, 1e6])
def test_constant_training_windows(value):
    """A recording in which nothing moves, as of an idle machine: whatever moves is abnormal, and named."""
    windows = np.full((60, 24, 3), value, np.float32)
    detector = AMSLDetector().fit(windows)
    x = windows[:3].copy()
    x[1, 5, 0] += 0.1 * (abs(value) or 1)
    x[2, :, 2] += 0.01 * (abs(value) or 1)
    assert detector.predict(x).tolist() == [0, 1, 1]
    assert detector.explain(x[1:]).channels.argmax(axis=1).tolist() == [0, 2]


def test_single_group_is_an_error(waves):
    with pytest.raises(DataError, match="groups must have at least two values for the ensemble score"):
        AMSLDetector().fit(waves, groups=["a"] * 40)


def test_labels_leave_out_abnormal_windows(waves):
    x = np.concatenate([waves, 5 * waves[:10]])
    detector = AMSLDetector().fit(x, np.repeat([0, 1], [40, 10]))
    np.testing.assert_array_equal(detector.decision_scores_, AMSLDetector().fit(waves).decision_scores_)


def overlapping(count):
    """Cuts windows of 24 rows that begin every 4 rows from a random walk around 0, float32 (N, 24, 2)."""
    generator = np.random.default_rng(0)
    values = np.zeros((4 * count + 24, 2))
    for row in range(1, len(values)):
        values[row] = 0.95 * values[row - 1] + generator.normal(size=2)
    return np.stack([values[4 * place :][:24] for place in range(count)]).astype(np.float32)


def test_threshold_of_overlapping_windows_is_valid_for_later_ones(caplog):
    """The second half of a recording is scored with the first; shuffled windows are compared with those of the same rows."""
    x = overlapping(600)
    with caplog.at_level("INFO", "amsl_tf"):
        detector = AMSLDetector().fit(x[:300])
    (message,) = [record.getMessage() for record in caplog.records if "overlap" in record.getMessage()]
    assert "as they begin every 4 rows: 5 consecutive pieces" in message
    shuffled = AMSLDetector().fit(np.random.default_rng(0).permutation(x[:300]))
    rates = [own.predict(x[306:]).mean() for own in (detector, shuffled)]
    assert rates[0] < 0.15
    assert rates[1] > 2 * rates[0]


def test_ensemble_beside_a_network(detector, waves, fitted):
    """The score is the same with any network."""
    both = AMSLDetector("cae", score="reconstruction", epochs=1, mixed_precision="off", extra_scores=["ensemble"], seed=1).fit(
        waves, groups=GROUPS
    )
    np.testing.assert_array_equal(both.training_scores_["ensemble"], fitted.decision_scores_)
    close(both.score_components(2 * waves)["ensemble"], fitted.decision_function(2 * waves))
