"""The detector: one window has one score, nothing is fitted on what it is tested on, it travels, it refuses bad input."""

import copy
import logging
import pickle

import numpy as np
import pytest
import tensorflow as tf
from sklearn.exceptions import NotFittedError

from amsl_tf import AMSLDetector, Windows
from amsl_tf.config import DetectorConfig
from amsl_tf.errors import AMSLError, DataError
from amsl_tf.models import build_network

SETTINGS = {"epochs": 2, "num_slots": 5, "mixed_precision": "off", "seed": 1}
SMALL = {**SETTINGS, "epochs": 1, "views": ["raw", "permuted"]}  # most of the time of a small fit goes into building graphs


@pytest.fixture(scope="module")
def detector(waves):
    return AMSLDetector(**SETTINGS).fit(waves)


@pytest.fixture(scope="module")
def new():
    """50 windows that were not trained on, some like the normal ones and some not."""
    generator = np.random.default_rng(9)
    time = np.arange(24) / 6
    frequency = np.where(np.arange(50) < 25, 1.0, 2.5)[:, None, None]
    return (np.sin(frequency * time[None, :, None] + np.arange(3)) + generator.normal(0, 0.05, (50, 24, 3))).astype(np.float32)


def assert_same_scores(one, other):
    """The tolerance of the contract: max |difference| / mean |score| <= 1e-5."""
    assert np.abs(one - other).max() / np.abs(other).mean() <= 1e-5


def test_it_takes_a_network_that_was_trained_elsewhere(detector, new, waves, tmp_path):
    detector.save(tmp_path / "saved")
    again = AMSLDetector(**SETTINGS).fit(waves, weights=tmp_path / "saved/weights.weights.h5")
    assert again.thresholds_ == detector.thresholds_
    assert again.history_ == {}
    np.testing.assert_array_equal(again.decision_function(new), detector.decision_function(new))


def test_weights_of_a_network_with_more_parts_are_refused(waves, tmp_path):
    """Keras would leave the memory of MemAE unread."""
    build_network(DetectorConfig.from_settings("memae").model, (24, 3)).save_weights(tmp_path / "memae.weights.h5")
    with pytest.raises(AMSLError, match=r"not the weights of this network.*memory.*expected nothing, found \(500, 64\)"):
        AMSLDetector(model="cae").fit(waves, weights=tmp_path / "memae.weights.h5")


@pytest.mark.parametrize(
    ("settings", "name", "said"),
    [
        ({"num_slots": 6}, "saved/weights.weights.h5", r"not the weights of this network .*: expected \(6, \d+\), found \("),
        ({}, "typo.weights.h5", "typo.weights.h5: not found"),
        ({}, "saved/config.json", "not the weights of this network"),
    ],
)
def test_weights_of_another_network_are_refused(detector, waves, tmp_path, settings, name, said):
    detector.save(tmp_path / "saved")
    with pytest.raises(AMSLError, match=said):
        AMSLDetector(**{**SETTINGS, **settings}).fit(waves, weights=tmp_path / name)


@pytest.mark.parametrize("score", ["nearest_normal", "reconstruction"])
def test_a_window_has_one_score(detector, new, waves, score, tmp_path):
    """Alone, in any batch, at any place, after save and load, as float64; near-repeats of training windows too."""
    windows = np.concatenate([new, waves[:10], waves[10:20] + np.float32(1e-4)])
    together = detector.score_components(windows)[score]
    alone = np.concatenate([detector.score_components(windows[row : row + 1])[score] for row in range(len(windows))])
    sevens = np.concatenate([detector.score_components(windows[row : row + 7])[score] for row in range(0, len(windows), 7)])
    backwards = detector.score_components(windows[::-1])[score][::-1]
    detector.save(tmp_path / "saved")
    loaded = AMSLDetector.load(tmp_path / "saved")
    for other in (alone, sevens, backwards, loaded.score_components(windows)[score]):
        assert_same_scores(other, together)
    assert_same_scores(detector.score_components(windows.astype(np.float64))[score], together)
    assert loaded.thresholds_ == detector.thresholds_
    assert loaded.config == detector.config
    np.testing.assert_array_equal(loaded.training_scores_[score], detector.training_scores_[score])


def test_it_tells_abnormal_from_normal(detector, new):
    scores = detector.decision_function(new)
    assert scores.dtype == np.float32
    assert scores.shape == (50,)
    assert np.median(scores[25:]) > np.median(scores[:25])
    flagged = detector.predict(new)
    np.testing.assert_array_equal(flagged, scores >= detector.threshold_)
    assert flagged[25:].mean() > flagged[:25].mean()


def test_channel_names_must_name_every_channel(waves):
    with pytest.raises(AMSLError, match=r"2 names, 3 channels"):
        AMSLDetector(**SMALL, channel_names=["x", "y"]).fit(waves)


def test_channels_that_do_not_fit_the_axes_are_refused(waves):
    with pytest.raises(AMSLError, match=r"axes must divide.*axes=2 and 3 channels"):
        AMSLDetector(**SMALL, axes=2).fit(waves)


def test_the_threshold_is_the_98th_percentile_of_training_scores(detector):
    for name, threshold in detector.thresholds_.items():
        assert threshold == pytest.approx(np.percentile(detector.training_scores_[name], 98.0))
    assert detector.thresholds_.keys() == {"nearest_normal", "reconstruction"}
    assert detector.threshold_ == detector.thresholds_["nearest_normal"]


def test_explanations_add_up(detector, new):
    explained = detector.explain(new[:5])
    assert explained.channel_error.shape == (5, 3)
    assert explained.view_error.shape == (5, 7)
    assert explained.time_error.shape == (5, 24)
    assert explained.reconstruction.shape == (5, 7, 24, 3)
    total = explained.view_error.sum(axis=1)
    np.testing.assert_allclose(total, detector.score_components(new[:5])["reconstruction"], rtol=1e-5)
    np.testing.assert_allclose(explained.channel_error.mean(axis=1), total, rtol=1e-4)
    np.testing.assert_allclose(explained.time_error.mean(axis=1), total, rtol=1e-4)


def test_explain_points_at_the_channel_that_is_wrong(detector, waves):
    broken = waves[:8].copy()
    broken[:, :, 1] += 3.0
    assert (detector.explain(broken).channel_error.argmax(axis=1) == 1).all()


@pytest.mark.slow
def test_the_seed_decides_and_global_random_state_is_left_alone(waves):
    np.random.seed(5)
    state = np.random.get_state()[1].copy()
    one, same, other = (AMSLDetector(**{**SMALL, "seed": seed}).fit(waves).decision_function(waves) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert not np.allclose(one, other)
    np.testing.assert_array_equal(np.random.get_state()[1], state)


@pytest.mark.slow
def test_the_best_epoch_is_kept(waves):
    """With steps so large that the last epoch is worse, the weights are those of a training that stopped before it."""
    wild, shorter = (AMSLDetector(**{**SMALL, "epochs": epochs, "learning_rate": 0.3}).fit(waves) for epochs in (3, 2))
    losses = wild.history_["val_loss"]
    assert losses[1] < min(losses[0], losses[2]), "choose a learning rate that spoils the last epoch"
    for one, other in zip(wild._path.network.get_weights(), shorter._path.network.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_groups_hold_back_whole_people_and_the_papers_score_may_decide(waves):
    people = np.repeat(["p1", "p2", "p3", "p4"], 10)
    detector = AMSLDetector(**SMALL, score="reconstruction").fit(waves, groups=people)
    assert all(np.isfinite(scores).all() for scores in detector.training_scores_.values())
    np.testing.assert_array_equal(detector.decision_function(waves), detector.score_components(waves)["reconstruction"])
    assert detector.threshold_ == detector.thresholds_["reconstruction"]
    with pytest.raises(DataError, match="groups must have one entry for each of the 40 windows"):
        AMSLDetector(**SMALL).fit(waves, groups=people[:5])


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings", [{"memory": "none"}, {"memory": "local", "skip": False}, {"views": ["raw"], "self_supervision": False}]
)
def test_ablations_are_whole_detectors(waves, settings, tmp_path):
    detector = AMSLDetector(**{**SMALL, **settings}).fit(waves)
    detector.save(tmp_path / "saved")
    assert_same_scores(AMSLDetector.load(tmp_path / "saved").decision_function(waves), detector.decision_function(waves))


def test_materialised_views_must_fit(waves):
    broken = waves.copy()
    broken[3, 2, 1] = np.nan
    for views, said in (
        ({"raw": waves}, "Received: none for permuted"),
        ({"raw": waves[:3], "permuted": waves}, r"\(40, 24, 3\).*shape=\(3, 24, 3\)"),
        ({"raw": waves, "permuted": broken}, "window 3, time step 2, channel 1"),
    ):
        with pytest.raises(DataError, match=said):
            AMSLDetector(**SMALL).fit(waves, views=views)


def test_a_fit_that_fails_leaves_the_detector_as_it_was(waves, tmp_path):
    detector = AMSLDetector(**SMALL).fit(waves, views={"raw": waves.astype(np.float64), "permuted": waves})
    before, data = detector.decision_function(waves), dict(detector.data_)
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):  # the state of the training has no place
        detector.fit(waves[:, :20], work_dir=tmp_path / "file")
    np.testing.assert_array_equal(detector.decision_function(waves), before)
    assert detector.data_ == data


@pytest.mark.parametrize("same", [np.ones((20, 24, 3)), 1e9 + np.random.default_rng(0).uniform(size=(20, 24, 3))])
def test_windows_that_are_all_the_same_are_refused(same):
    """Their scores would be, too, and the threshold no higher: new windows like them would all be flagged."""
    with pytest.raises(DataError, match=r"windows must differ\. Received: 20 that are all the same as float32"):
        AMSLDetector(**SMALL).fit(same)


def test_labels_are_not_taken_for_groups(waves):
    with pytest.raises(TypeError, match="positional"):
        AMSLDetector(**SMALL).fit(waves, np.zeros(len(waves)))


def test_it_can_be_copied_and_pickled(detector, new):
    expected = detector.decision_function(new)
    for other in (copy.deepcopy(detector), pickle.loads(pickle.dumps(detector))):
        np.testing.assert_array_equal(other.decision_function(new), expected)


def test_several_detectors_are_no_reason_for_a_warning(detector, new, capfd):
    """Of TensorFlow, that a function is traced again and again: every detector has graphs of its own."""
    tf.get_logger().addHandler(handler := logging.StreamHandler())
    try:
        for _ in range(6):
            copy.deepcopy(detector).decision_function(new[:1])
    finally:
        tf.get_logger().removeHandler(handler)
    assert "retracing" not in capfd.readouterr().err


@pytest.mark.slow
def test_a_dead_channel_is_safe(waves):
    """One that is constant but for the last digit of float32."""
    dead = waves.copy()
    dead[..., 2] = 9.81
    dead[::2, ::2, 2] = np.nextafter(np.float32(9.81), np.float32(10))
    detector = AMSLDetector(**SMALL).fit(dead)
    alone = np.concatenate([detector.decision_function(dead[row : row + 1]) for row in range(10)])
    assert_same_scores(alone, detector.decision_function(dead[:10]))


@pytest.mark.slow
def test_scoring_in_bfloat16_is_near_float32_and_travels(waves, new, tmp_path):
    exact, rounded = (AMSLDetector(**SMALL, scoring_precision=name).fit(waves) for name in ("float32", "bfloat16"))
    wanted, found = (detector.score_components(new)["reconstruction"] for detector in (exact, rounded))
    assert not np.array_equal(found, wanted)
    np.testing.assert_allclose(found, wanted, rtol=0.05)
    rounded.save(tmp_path / "saved")
    loaded = AMSLDetector.load(tmp_path / "saved")
    assert loaded.config.scoring_precision == "bfloat16"
    np.testing.assert_array_equal(loaded.score_components(new)["reconstruction"], found)


def test_two_windows_are_enough_and_one_is_not(waves):
    detector = AMSLDetector(**SMALL).fit(waves[:2])
    assert np.isfinite(detector.decision_function(waves[:3])).all()
    with pytest.raises(DataError, match="Give more windows"):
        AMSLDetector(**SMALL).fit(waves[:1])


def test_bad_input_is_refused(detector, new):
    for bad, said in ((new[:, :, :2], r"\(N, 24, 3\)"), (new[0], r"shape=\(24, 3\)"), (np.full((1, 24, 3), np.nan), "finite")):
        for method in (detector.decision_function, detector.predict, detector.explain):
            with pytest.raises(DataError, match=said):
                method(bad)
    assert detector.decision_function(Windows(new)).shape == (50,)


def test_the_largest_values_have_scores(detector, new):
    huge = new[:3].copy()
    huge[0, 3, 1] = 1e30
    scores = detector.decision_function(huge)
    assert np.isfinite(scores).all()
    assert scores[0] > detector.threshold_
    np.testing.assert_allclose(scores[1:], detector.decision_function(new[1:3]), atol=1e-5)


def test_before_fit(tmp_path):
    detector = AMSLDetector()
    for use in (
        lambda: detector.predict(np.ones((1, 16, 1))),
        lambda: detector.threshold_,
        lambda: detector.save(tmp_path / "saved"),
    ):
        with pytest.raises(NotFittedError, match="call fit"):
            use()
    with pytest.raises(AMSLError, match="either config or single settings"):
        AMSLDetector(detector.config, epochs=3)
    for config in ("memae", {}, detector.config.model):
        with pytest.raises(AMSLError, match='AMSLDetector\\(model="memae"\\)'):
            AMSLDetector(config)
