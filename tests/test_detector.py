"""The detector: scores, thresholds, explanations, given weights and views, saving, and validation of its inputs."""

import copy
import errno
import logging
import resource

import numpy as np
import pytest
import tensorflow as tf
from sklearn.exceptions import NotFittedError

from amsl_tf import AMSLDetector, Windows
from amsl_tf.config import DetectorConfig
from amsl_tf.errors import AMSLError, DataError
from amsl_tf.export import export_detector
from amsl_tf.networks import build_network
from tests.conftest import close, make_detector

SETTINGS = {"epochs": 2, "num_slots": 5, "mixed_precision": "off", "seed": 1}
SMALL = {**SETTINGS, "epochs": 1, "views": ["raw", "permuted"]}  # tracing graphs dominates the time of a small fit


@pytest.fixture(scope="module")
def detector(waves):
    return make_detector(**SETTINGS).fit(waves)


@pytest.fixture(scope="module")
def unseen():
    """50 windows that are not training windows: 25 of the normal frequency, and 25 of a higher frequency."""
    generator = np.random.default_rng(9)
    time = np.arange(24) / 6
    frequency = np.where(np.arange(50) < 25, 1.0, 2.5)[:, None, None]
    return (np.sin(frequency * time[None, :, None] + np.arange(3)) + generator.normal(0, 0.05, (50, 24, 3))).astype(np.float32)


def test_fit_with_given_weights(detector, unseen, waves, tmp_path):
    detector.save(tmp_path / "saved")
    loaded = make_detector(**SETTINGS).fit(waves, weights=tmp_path / "saved/weights.weights.h5")
    assert loaded.thresholds_ == detector.thresholds_
    assert loaded.history_ == {}
    np.testing.assert_array_equal(loaded.decision_function(unseen), detector.decision_function(unseen))


def test_weights_with_additional_layers_are_an_error(waves, tmp_path):
    """Keras alone would ignore the memory of MemAE."""
    build_network(DetectorConfig.from_settings("memae").network, (24, 3)).save_weights(tmp_path / "memae.weights.h5")
    with pytest.raises(AMSLError, match=r"not the weights of this network.*memory.*expected nothing, found \(500, 64\)"):
        make_detector("cae").fit(waves, weights=tmp_path / "memae.weights.h5")


@pytest.mark.parametrize(
    ("settings", "name", "message"),
    [
        ({"num_slots": 6}, "saved/weights.weights.h5", r"not the weights of this network .*: expected \(6, \d+\), found \("),
        ({}, "typo.weights.h5", "typo.weights.h5: not found"),
        ({}, "saved/config.json", "not the weights of this network"),
    ],
)
def test_invalid_weights_are_an_error(detector, waves, tmp_path, settings, name, message):
    detector.save(tmp_path / "saved")
    with pytest.raises(AMSLError, match=message):
        make_detector(**{**SETTINGS, **settings}).fit(waves, weights=tmp_path / name)


@pytest.mark.parametrize("score", ["nearest_normal", "reconstruction"])
def test_a_window_has_one_score(detector, unseen, waves, score, tmp_path):
    """Alone, in any batch, at any position, after loading and as float64; for near-duplicates of training windows too."""
    windows = np.concatenate([unseen, waves[:10], waves[10:20] + np.float32(1e-4)])
    together = detector.score_components(windows)[score]
    alone = np.concatenate([detector.score_components(windows[row : row + 1])[score] for row in range(len(windows))])
    in_sevens = np.concatenate([detector.score_components(windows[row : row + 7])[score] for row in range(0, len(windows), 7)])
    in_reverse = detector.score_components(windows[::-1])[score][::-1]
    detector.save(tmp_path / "saved")
    loaded = AMSLDetector.load(tmp_path / "saved")
    for other in (alone, in_sevens, in_reverse, loaded.score_components(windows)[score]):
        close(other, together)
    close(detector.score_components(windows.astype(np.float64))[score], together)
    assert loaded.thresholds_ == detector.thresholds_
    assert loaded.config == detector.config
    np.testing.assert_array_equal(loaded.training_scores_[score], detector.training_scores_[score])


def test_abnormal_windows_have_higher_scores(detector, unseen):
    scores = detector.decision_function(unseen)
    assert scores.dtype == np.float32
    assert scores.shape == (50,)
    assert np.median(scores[25:]) > np.median(scores[:25])
    flagged = detector.predict(unseen)
    np.testing.assert_array_equal(flagged, scores >= detector.threshold_)
    assert flagged[25:].mean() > flagged[:25].mean()


def test_number_of_channel_names_must_match(waves):
    with pytest.raises(AMSLError, match=r"2 names, 3 channels"):
        make_detector(**SMALL, channel_names=["x", "y"]).fit(waves)


def test_axes_must_divide_the_channels(waves):
    with pytest.raises(AMSLError, match=r"axes must divide.*axes=2 and 3 channels"):
        make_detector(**SMALL, axes=2).fit(waves)


def test_threshold_is_the_98th_percentile_of_training_scores(detector):
    for name, threshold in detector.thresholds_.items():
        assert threshold == pytest.approx(np.percentile(detector.training_scores_[name], 98.0))
    assert detector.thresholds_.keys() == {"nearest_normal", "reconstruction"}
    assert detector.threshold_ == detector.thresholds_["nearest_normal"]


def test_errors_of_the_network_sum_to_the_reconstruction_score(detector, unseen):
    explanation = detector.reconstruct(unseen[:5])
    assert explanation.channel_error.shape == (5, 3)
    assert explanation.view_error.shape == (5, 7)
    assert explanation.time_error.shape == (5, 24)
    assert explanation.reconstruction.shape == (5, 7, 24, 3)
    total = explanation.view_error.sum(axis=1)
    np.testing.assert_allclose(total, detector.score_components(unseen[:5])["reconstruction"], rtol=1e-5)
    np.testing.assert_allclose(explanation.channel_error.mean(axis=1), total, rtol=1e-4)
    np.testing.assert_allclose(explanation.time_error.mean(axis=1), total, rtol=1e-4)


def test_explanation_identifies_the_abnormal_channel(detector, waves):
    shifted = waves[:8].copy()
    shifted[:, :, 1] += 3.0
    assert (detector.explain(shifted).channels.argmax(axis=1) == 1).all()
    assert (detector.reconstruct(shifted).channel_error.argmax(axis=1) == 1).all()


@pytest.mark.slow
def test_scores_depend_on_the_seed_and_not_on_the_global_random_state(waves):
    np.random.seed(5)
    state = np.random.get_state()[1].copy()
    one, same, other = (make_detector(**{**SMALL, "seed": seed}).fit(waves).decision_function(waves) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert not np.allclose(one, other)
    np.testing.assert_array_equal(np.random.get_state()[1], state)


@pytest.mark.slow
def test_the_best_epoch_is_kept(waves):
    """With a learning rate at which the last epoch is worse, the weights are those of a training without that epoch."""
    long, short = (make_detector(**{**SMALL, "epochs": epochs, "learning_rate": 0.3}).fit(waves) for epochs in (3, 2))
    losses = long.history_["val_loss"]
    assert losses[1] < min(losses[0], losses[2]), "choose a learning rate with which the last epoch is worse"
    for one, other in zip(long.pipeline.network.get_weights(), short.pipeline.network.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_fit_with_groups_and_reconstruction_as_decision_score(waves):
    subjects = np.repeat(["p1", "p2", "p3", "p4"], 10)
    detector = make_detector(**SMALL, score="reconstruction").fit(waves, groups=subjects)
    assert all(np.isfinite(scores).all() for scores in detector.training_scores_.values())
    np.testing.assert_array_equal(detector.decision_function(waves), detector.score_components(waves)["reconstruction"])
    assert detector.threshold_ == detector.thresholds_["reconstruction"]
    with pytest.raises(DataError, match="groups must have one entry for each of the 40 windows"):
        make_detector(**SMALL).fit(waves, groups=subjects[:5])


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings", [{"memory": "none"}, {"memory": "local", "skip": False}, {"views": ["raw"], "self_supervision": False}]
)
def test_ablations_can_be_saved_and_loaded(waves, settings, tmp_path):
    detector = make_detector(**{**SMALL, **settings}).fit(waves)
    detector.save(tmp_path / "saved")
    close(AMSLDetector.load(tmp_path / "saved").decision_function(waves), detector.decision_function(waves))


def test_invalid_materialised_views_are_errors(waves):
    with_nan = waves.copy()
    with_nan[3, 2, 1] = np.nan
    for views, message in (
        ({"raw": waves}, "Received: none for permuted"),
        ({"raw": waves[:3], "permuted": waves}, r"\(40, 24, 3\).*shape=\(3, 24, 3\)"),
        ({"raw": waves, "permuted": with_nan}, "window 3, time step 2, channel 1"),
    ):
        with pytest.raises(DataError, match=message):
            make_detector(**SMALL).fit(waves, views=views)


def test_failed_fit_does_not_change_the_detector(waves, tmp_path):
    detector = make_detector(**SMALL).fit(waves, views={"raw": waves.astype(np.float64), "permuted": waves})
    before, data = detector.decision_function(waves), dict(detector.data_)
    (tmp_path / "file").touch()
    with pytest.raises(AMSLError, match="file: is not a folder"):
        detector.fit(waves[:, :20], work_dir=tmp_path / "file")
    np.testing.assert_array_equal(detector.decision_function(waves), before)
    assert detector.data_ == data


@pytest.mark.parametrize("windows", [np.ones((20, 24, 3)), 1e9 + np.random.default_rng(0).uniform(size=(20, 24, 3))])
def test_identical_windows_are_an_error(windows):
    """All scores would equal the threshold, so that every further window like these would be flagged."""
    with pytest.raises(DataError, match=r"windows must differ\. Received: 20 windows that are equal in float32"):
        make_detector(**SMALL).fit(windows)


@pytest.mark.slow
def test_several_detectors_cause_no_retracing_warning(detector, unseen, capfd):
    """Each detector has graphs of its own, which TensorFlow must not take for retracing of a single function."""
    tf.get_logger().addHandler(handler := logging.StreamHandler())
    try:
        for _ in range(6):
            copy.deepcopy(detector).decision_function(unseen[:1])
    finally:
        tf.get_logger().removeHandler(handler)
    assert "retracing" not in capfd.readouterr().err


@pytest.mark.slow
def test_constant_channel(waves):
    """The channel is constant up to rounding errors of float32."""
    constant = waves.copy()
    constant[..., 2] = 9.81
    constant[::2, ::2, 2] = np.nextafter(np.float32(9.81), np.float32(10))
    detector = make_detector(**SMALL).fit(constant)
    alone = np.concatenate([detector.decision_function(constant[row : row + 1]) for row in range(10)])
    close(alone, detector.decision_function(constant[:10]))


@pytest.mark.slow
def test_scoring_in_bfloat16_is_close_to_float32_and_saved(waves, unseen, tmp_path):
    exact, rounded = (make_detector(**SMALL, scoring_precision=name).fit(waves) for name in ("float32", "bfloat16"))
    expected, found = (detector.score_components(unseen)["reconstruction"] for detector in (exact, rounded))
    assert not np.array_equal(found, expected)
    np.testing.assert_allclose(found, expected, rtol=0.05)
    rounded.save(tmp_path / "saved")
    loaded = AMSLDetector.load(tmp_path / "saved")
    assert loaded.config.scoring_precision == "bfloat16"
    np.testing.assert_array_equal(loaded.score_components(unseen)["reconstruction"], found)


def test_fit_needs_two_windows(waves):
    detector = make_detector(**SMALL).fit(waves[:2])
    assert np.isfinite(detector.decision_function(waves[:3])).all()
    with pytest.raises(DataError, match="Give more windows"):
        make_detector(**SMALL).fit(waves[:1])


def test_invalid_input_is_an_error(detector, unseen):
    for invalid, message in (
        (unseen[:, :, :2], r"\(N, 24, 3\)"),
        (unseen[0], r"shape=\(24, 3\)"),
    ):
        for method in (detector.decision_function, detector.predict, detector.explain):
            with pytest.raises(DataError, match=message):
                method(invalid)
    for method in (detector.decision_function, detector.predict):
        with pytest.raises(DataError, match="finite"):
            method(np.full((1, 24, 3), np.nan))
    assert np.isnan(detector.explain(np.full((1, 24, 3), np.nan)).channels).all()
    assert detector.decision_function(Windows(unseen)).shape == (50,)


def test_largest_values_have_finite_scores(detector, unseen):
    large = unseen[:3].copy()
    large[0, 3, 1] = 1e30
    scores = detector.decision_function(large)
    assert np.isfinite(scores).all()
    assert scores[0] > detector.threshold_
    np.testing.assert_allclose(scores[1:], detector.decision_function(unseen[1:3]), atol=1e-5)


def test_use_before_fit_is_an_error(tmp_path):
    detector = AMSLDetector()
    for call in (
        lambda: detector.predict(np.ones((1, 16, 1))),
        lambda: detector.threshold_,
        lambda: detector.save(tmp_path / "saved"),
    ):
        with pytest.raises(NotFittedError, match="call fit"):
            call()


def test_only_the_selected_scores_are_fitted(waves, tmp_path):
    detector = AMSLDetector("cae", score="reconstruction", epochs=1).fit(waves)
    assert detector.thresholds_.keys() == {"reconstruction"}
    assert set(detector.score_components(waves)) == {"reconstruction", "view_error"}
    detector.save(tmp_path / "saved")
    with np.load(tmp_path / "saved/state.npz") as state:
        assert not [name for name in state.files if "nearest_normal" in name]
    with pytest.raises(AMSLError, match=r"needs a score such as ensemble; this detector has reconstruction"):
        AMSLDetector.load(tmp_path / "saved").nearest(waves)


def test_usual_error_is_the_geometric_mean_of_training_errors(detector, waves):
    batches = detector.pipeline.run(waves, ("error",))
    error = np.concatenate([batch["error"] for batch in batches]).astype(float)
    np.testing.assert_allclose(detector.usual_error_, np.exp(np.log(error + 1e-7).mean(axis=0)), rtol=1e-5)


def test_repeated_windows_do_not_lower_the_threshold(waves, unseen, caplog):
    detector = make_detector(**SMALL).fit(np.concatenate([waves, waves]))
    assert detector.predict(unseen[:25]).mean() < 0.2
    assert caplog.messages == [
        "40 different training windows are too few for a false-alarm rate of 0.02, which needs 50 or more: new normal windows "
        "will be flagged more often."
    ]


def test_full_disk_is_an_error_that_names_the_detector(detector, tmp_path):
    """The limit on the size of a file stands for the size of the disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(AMSLError, match=rf"^{tmp_path}/saved: cannot be written .* free space\.$"):
            detector.save(tmp_path / "saved")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "call",
    [
        lambda detector, waves: detector.save("s3://bucket/model"),
        lambda detector, waves: AMSLDetector.load("gs://bucket/model"),
        lambda detector, waves: make_detector("cae").fit(waves, log_dir="hdfs://host/logs"),
        lambda detector, waves: make_detector("cae").fit(waves, work_dir="s3://bucket/work"),
        lambda detector, waves: export_detector(detector, "s3://bucket/model"),
    ],
)
def test_urls_are_errors(call, detector, waves, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(AMSLError, match="looks like a URL"):
        call(detector, waves)
    assert not list(tmp_path.iterdir())


def test_a_score_that_is_not_a_number_is_abnormal(detector, waves):
    broken = copy.copy(detector)
    broken.pipeline_ = copy.copy(detector.pipeline_)
    broken.pipeline_._compiled = {}
    score = copy.copy(detector.pipeline_.scores["nearest_normal"])
    score.score = lambda evidence: tf.fill([tf.shape(evidence.error)[0]], np.float32(np.nan))
    broken.pipeline_.scores = {"nearest_normal": score}
    assert broken.predict(waves[:3]).tolist() == [1, 1, 1]
    assert broken.detect(waves[:3])["is_anomaly"].tolist() == [True] * 3


def test_full_temporary_folder_is_not_taken_for_a_broken_file(detector, waves, tmp_path, monkeypatch):
    detector.save(tmp_path / "saved")
    weights = tmp_path / "saved/weights.weights.h5"

    def no_space(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("amsl_tf.networks.weights.tempfile.TemporaryDirectory", no_space)
    for call in (lambda: AMSLDetector.load(tmp_path / "saved"), lambda: make_detector(**SETTINGS).fit(waves, weights=weights)):
        with pytest.raises(AMSLError, match=r"^temporary files cannot be written \(No space left on device\)\. Set TMPDIR"):
            call()
