"""Channel health in detectors: states beside the score, decisions, and scores without dead channels."""

import numpy as np
import pytest
import tensorflow as tf

from amsl_tf import AMSLDetector
from amsl_tf.data.channel_states import DEAD, MISSING, STUCK
from amsl_tf.errors import AMSLError
from amsl_tf.export.writer import export_detector
from amsl_tf.scoring.ensemble.neighbours import Neighbours
from tests.conftest import close


@pytest.fixture(scope="module")
def windows():
    """300 windows of 6 waves with an offset, (300, 32, 6)."""
    generator = np.random.default_rng(0)
    phase = generator.uniform(0, 6, (300, 1, 6))
    values = np.sin(np.arange(32)[:, None] / 4 + phase) + generator.normal(0, 0.1, (300, 32, 6)) + np.arange(6)
    return values.astype(np.float32)


@pytest.fixture(scope="module")
def fitted(windows):
    return AMSLDetector(seed=1).fit(windows[:200])


@pytest.fixture(scope="module")
def faulty(windows):
    """100 normal windows, in which channel 2 is dead, and channel 4 in the others."""
    x = windows[200:].copy()
    x[:50, :, 2], x[50:, :, 4] = 0, 0
    return x


def test_states(fitted, windows, faulty):
    assert not fitted.detect(windows[200:])["health"].any()
    expected = np.zeros((100, 6))
    expected[:50, 2], expected[50:, 4] = DEAD, DEAD
    np.testing.assert_array_equal(fitted.detect(faulty)["health"], expected)
    np.testing.assert_array_equal(fitted.explain(faulty).health, expected)
    faulty = faulty[:1].copy()
    faulty[0, 3, 0] = np.nan
    assert fitted.detect(faulty)["health"].tolist() == [[MISSING, 0, DEAD, 0, 0, 0]]


def test_stuck_channels_are_flagged_and_scored(fitted, windows):
    """The value at which a channel stays may show what happens to the machine."""
    x = windows[200:].copy()
    x[:, 8:, 4] = x[:, 8:9, 4]
    assert (fitted.detect(x)["health"][:, 4] == STUCK).all()
    assert fitted.predict(x).all()
    assert (fitted.explain(x).channels.argmax(axis=1) == 4).mean() > 0.9


def test_dead_channels_make_windows_abnormal_and_do_not_change_scores(fitted, windows, faulty):
    """Without this the scores of all of them would be above the threshold."""
    assert fitted.predict(faulty).all()
    scores = fitted.decision_function(faulty)
    assert (scores < fitted.threshold_).mean() > 0.85
    assert np.abs(scores - fitted.decision_function(windows[200:])).max() < 1
    health, fitted.pipeline.health, fitted.pipeline._compiled = fitted.pipeline.health, None, {}
    try:
        assert (fitted.decision_function(faulty) > fitted.threshold_).all()
    finally:
        fitted.pipeline.health, fitted.pipeline._compiled = health, {}


def test_faulty_channels_contribute_nothing(fitted, faulty):
    explained = fitted.explain(faulty)
    np.testing.assert_allclose(explained.channels[:50, 2], 0, atol=1e-6)
    for values in explained[:3]:
        np.testing.assert_allclose(values.sum(axis=1), fitted.decision_function(faulty), atol=1e-5)


def test_faulty_channels_can_be_ignored(windows, faulty, fitted):
    detector = AMSLDetector(seed=1, on_dead_channel="ignore").fit(windows[:200])
    found = detector.detect(faulty)
    assert found["health"].any(axis=1).all()
    np.testing.assert_array_equal(found["is_anomaly"], found["score"] >= detector.threshold_)
    np.testing.assert_array_equal(found["score"], fitted.decision_function(faulty))
    with pytest.raises(AMSLError, match=r"on_dead_channel must be one of flag, ignore"):
        AMSLDetector(on_dead_channel="drop").fit(windows)


def test_other_faults_are_still_found(fitted, faulty):
    abnormal = faulty.copy()
    abnormal[:, :, 0] *= 4
    assert (fitted.decision_function(abnormal) > fitted.threshold_).mean() > 0.95


def test_windows_without_an_alive_channel_are_scored(fitted):
    found = fitted.detect(np.zeros((1, 32, 6)))
    assert found["is_anomaly"].all()
    assert found["score"] > fitted.threshold_


@pytest.mark.parametrize("outlier", [0, 0.01])
def test_constant_channel_does_not_stand_for_dead_ones(windows, outlier):
    """All channels that moved are dead: nothing is left that could tell a normal window."""
    x = windows.copy()
    x[:, :, 0] = 7
    x[0, 0, 0] += outlier
    detector = AMSLDetector(seed=1, on_dead_channel="ignore").fit(x[:200])
    x[200:, :, 1:] = 0
    assert (detector.decision_function(x[200:210]) > detector.threshold_).all()


def test_saved_and_exported(fitted, faulty, tmp_path):
    expected = fitted.detect(faulty)
    fitted.save(tmp_path / "saved")
    loaded = AMSLDetector.load(tmp_path / "saved").detect(faulty)
    for name, values in expected.items():
        np.testing.assert_array_equal(loaded[name], values)
    served = tf.saved_model.load(str(export_detector(fitted, tmp_path / "model"))).signatures
    outputs = served["serving_default"](windows=tf.constant(faulty))
    close(outputs["score"].numpy(), expected["score"])
    for name in ("is_anomaly", "valid", "health"):
        np.testing.assert_array_equal(outputs[name], expected[name])
    (graph,) = (tmp_path / "model").rglob("saved_model.pb")
    assert graph.stat().st_size < sum(values.nbytes for values in fitted.pipeline.scores["ensemble"].state().values())
    explained = served["explain"](windows=tf.constant(faulty))
    for name, values in fitted.explain(faulty)._asdict().items():
        np.testing.assert_allclose(explained[name], values, atol=1e-5)


def test_windows_are_scored_alone(fitted, faulty, windows):
    """Whether another window of the batch has a faulty channel."""
    mixed = np.concatenate([windows[200:205], faulty[:5]])
    alone = np.concatenate([fitted.decision_function(mixed[row : row + 1]) for row in range(10)])
    close(fitted.decision_function(mixed), alone)


def test_alive_sensors_stand_for_all():
    """Two sensors with usual parts 1 and 3: where the second is dead, squared distances by the first count four times."""
    ones, sensors = np.ones(3, np.float32), np.array([0, 1, 1], np.int32)
    bank = np.array([[0, 0, 0], [5, 5, 5]], np.float32)
    neighbours = Neighbours(0 * ones, ones, bank, ones[:2], np.float32(0), sensors, np.array([1, 3], np.float32))
    alive = tf.constant([[True, True], [True, False], [False, True], [False, False]])
    np.testing.assert_allclose(neighbours.weigh(alive), [[1, 1], [4, 0], [0, 4 / 3], [1, 1]], rtol=1e-6)
    features = tf.constant([[1.0, 2, 2]] * 4)
    expected = [[9, 34], [4, 4 * 16], [8 * 4 / 3, 18 * 4 / 3], [9, 34]]  # squared distances to both windows
    np.testing.assert_allclose(np.exp(2 * neighbours.log_distances(features, alive)), expected, rtol=1e-5)
    found = neighbours.measure(features, alive=alive)
    np.testing.assert_allclose(found.mean, np.sqrt(expected).mean(axis=1), rtol=1e-5)
    np.testing.assert_allclose(tf.reduce_sum(found.parts, axis=1), found.mean**2, rtol=1e-5)
    np.testing.assert_allclose(found.parts[1, 1:], 0)
