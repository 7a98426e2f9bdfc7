"""Recordings in, events out: detectors that are fitted to recordings with times."""

import json
import tarfile

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError

from amsl_tf import AMSLDetector
from amsl_tf.data.preparation import Preparation
from amsl_tf.data.recordings import Recording
from amsl_tf.errors import AMSLError, DataError
from amsl_tf.persistence import RECORDINGS
from amsl_tf.saving import TRAINING
from amsl_tf.scoring.alert_budgets import AlertBudget
from amsl_tf.scoring.events import MergeRule
from tests.conftest import ROOT
from tests.test_persistence import edit

NAMES = ("Pressure", "Current", "Flow")
STEPS = 32
KEPT = (*TRAINING, "recordings")


def record(seed, count=1000, rate=10, start="2024-03-01"):
    """Makes a recording of normal operation: three waves with noise and units of their own, in UTC."""
    rng = np.random.default_rng(seed)
    phase = 2 * np.pi * np.arange(count) / rate / 1.6 + rng.uniform(0, 7)
    x = np.sin(phase[:, None] + np.arange(3)) + rng.normal(0, 0.1, (count, 3))
    index = pd.date_range(start, periods=count, freq=pd.Timedelta(seconds=1 / rate), tz="UTC")
    return pd.DataFrame(x * [100, 1, 0.01] + [500, 0, 3], index, NAMES)


@pytest.fixture(scope="module")
def normal():
    return {f"unit {seed}": record(seed) for seed in range(6)}


@pytest.fixture(scope="module")
def fitted(normal):
    return AMSLDetector(seed=1).fit_recordings(normal, window=STEPS, stride=8)


@pytest.fixture(scope="module")
def faulty():
    """Between the rows 400 and 480 the current has another frequency."""
    frame = record(99)
    frame.iloc[400:480, 1] = np.sin(np.arange(80) * 1.3)
    return frame


def test_fitted_state(fitted, normal):
    assert fitted.window_shape == (STEPS, 3)
    assert fitted.config_.channel_names == NAMES
    assert fitted.preparation_ == Preparation(period=0.1, max_gap=0.8, max_fill=3)
    assert fitted.recordings_["stride"] == 8
    assert fitted.segments_.tolist() == np.repeat(range(6), 122).tolist()
    assert fitted.rows_.tolist() == 6 * list(range(0, 969, 8))
    assert fitted.recordings_["left_out"] == "group"
    assert fitted.labels_.sum() == 15  # 2 % of all 732 windows, and not of those of a typical recording
    values = np.concatenate(list(normal.values()))
    np.testing.assert_allclose(fitted.normal_range_, np.quantile(values, [0.005, 0.995], axis=0), rtol=0.02)
    assert fitted.normal_scores().duration == pytest.approx(6 * 100)


def test_fit_to_windows_forgets_the_recordings():
    detector = AMSLDetector().fit_recordings(record(0), window=STEPS)
    windows = record(0).to_numpy()[:960].reshape(30, STEPS, 3)
    detector.fit(windows)
    assert (detector.recordings_, detector.segments_, detector.rows_) == (None, None, None)
    assert detector.preparation_ == Preparation()
    with pytest.raises(AMSLError, match="false alarms by time need a detector that was fitted to recordings with times"):
        detector.set_alert_budget("1/day")


def test_saved_detectors_keep_what_recordings_need(fitted, faulty, tmp_path):
    fitted.save(tmp_path / "saved")
    loaded = AMSLDetector.load(tmp_path / "saved")
    assert loaded.preparation_ == fitted.preparation_
    assert loaded.recordings_ == fitted.recordings_
    assert loaded.data_ == fitted.data_
    for name in TRAINING:
        np.testing.assert_array_equal(getattr(loaded, f"{name}_"), getattr(fitted, f"{name}_"))
    assert loaded.score_recording(faulty).events == fitted.score_recording(faulty).events
    assert loaded.normal_scores().smallest_budget() == fitted.normal_scores().smallest_budget()


def test_detectors_of_older_versions(fitted, faulty, tmp_path):
    fitted.save(tmp_path / "saved")
    with np.load(tmp_path / "saved/state.npz") as stored:
        arrays = {name: stored[name] for name in stored.files}
    new = ("normal_range", "segments", "rows")
    older = {name: values for name, values in arrays.items() if name not in [f"training.{key}" for key in new]}
    assert len(older) == len(arrays) - 3
    np.savez(tmp_path / "saved/state.npz", **older)
    edit(tmp_path / "saved", "data.json", lambda values: values.pop(RECORDINGS))
    loaded = AMSLDetector.load(tmp_path / "saved")
    assert [getattr(loaded, f"{name}_") for name in (*new, "recordings")] == 4 * [None]
    assert loaded.preparation_ == Preparation()
    expected = fitted.score_recording(faulty, stride=STEPS)
    np.testing.assert_array_equal(loaded.score_recording(faulty).score, expected.score)
    assert loaded.plot(faulty) is not None
    with pytest.raises(AMSLError, match="false alarms by time need"):
        loaded.normal_scores()
    with pytest.raises(DataError, match="resample needs the sampling rate of the training recordings, which had no times"):
        loaded.score_recording(faulty, resample=True)


def test_detector_of_format_7(tmp_path):
    with tarfile.open(ROOT / "tests/fixtures/detectors_format_7.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    (folder,) = tmp_path.rglob("memae")
    detector = AMSLDetector.load(folder)
    assert [getattr(detector, f"{name}_") for name in ("normal_range", "segments", "rows", "recordings")] == 4 * [None]
    steps, channels = detector.window_shape
    x = np.random.default_rng(0).normal(size=(4 * steps, channels))
    found = detector.score_recording(x, explain=False)
    np.testing.assert_array_equal(found.score, detector.decision_function(x.reshape(4, steps, channels)))


def test_p_values_of_windows(fitted, faulty):
    x = faulty.to_numpy()[: 31 * STEPS].reshape(31, STEPS, 3)
    p_values, normal = fitted.p_values(x), fitted.decision_scores_
    expected = [(1 + (normal >= score).sum()) / (1 + len(normal)) for score in fitted.decision_function(x)]
    np.testing.assert_allclose(p_values, expected)
    assert p_values[13] == 1 / 733  # rows 416 to 447
    np.testing.assert_allclose(fitted.predict_proba(x), np.stack([p_values, 1 - p_values], axis=1))


def test_p_values_keep_their_promise_for_new_recordings(fitted):
    """30 new recordings of the same law, with 31 windows each, which do not overlap."""
    found = np.concatenate([fitted.score_recording(record(1000 + i), stride=STEPS, explain=False).p_value for i in range(30)])
    assert len(found) == 930
    for a in (0.02, 0.1, 0.3):
        assert np.mean(found <= a) < a + 4 * np.sqrt(a * (1 - a) / len(found))
    assert np.mean(found <= 0.5) > 0.15  # and are not always near 1


def test_alert_budget(fitted, faulty):
    before = fitted.threshold_
    try:
        fitted.set_alert_budget(AlertBudget(6, "min"))
        scores = fitted.normal_scores()
        assert 20 < scores.count_events(fitted.threshold_) <= 60
        fitted.set_alert_budget("1/min", rule=MergeRule(min_windows=2))
        assert fitted.normal_scores(MergeRule(min_windows=2)).count_events(fitted.threshold_) <= 10
        message = (
            r"false alarms: expected at least 150/day, one in the 600 s .* Received: 1/day. Use more normal data, or extrap"
        )
        with pytest.raises(AMSLError, match=message):
            fitted.set_alert_budget("1/day")
        for budget in ("daily", 3, None):
            with pytest.raises(AMSLError, match="false alarms: expected a number above 0 and a unit"):
                fitted.set_alert_budget(budget)
        smallest = fitted.set_alert_budget("150/day").threshold_
        assert scores.count_events(smallest) <= 1
        assert fitted.set_alert_budget("1/day", extrapolate=True).threshold_ > smallest
        assert [event.first_row // 100 for event in fitted.set_alert_budget("150/day").score_recording(faulty).events] == [3]
    finally:
        fitted.set_threshold(before)


def test_fault_is_one_event_with_its_channel_and_time(fitted, faulty):
    found = fitted.score_recording(faulty)
    assert found.first_row.tolist() == list(range(0, 969, 8))
    assert found.channel_names == NAMES
    assert found.time_zone == "UTC"
    assert found.start[1] == np.datetime64("2024-03-01T00:00:00.8")
    assert found.threshold == fitted.threshold_
    x = np.stack([faulty.to_numpy()[row : row + STEPS] for row in found.first_row])
    np.testing.assert_array_equal(found.score, fitted.decision_function(x))
    np.testing.assert_array_equal(found.is_anomaly, fitted.predict(x) == 1)
    np.testing.assert_allclose(found.p_value, fitted.p_values(x))
    event = max(found.events, key=lambda event: event.peak_score)
    assert sum(event.first_row < 480 and event.last_row >= 400 for event in found.events) == 1
    assert 400 - STEPS < event.first_row <= 400
    assert 479 <= event.last_row < 480 + STEPS
    assert np.datetime64("2024-03-01T00:00:36.8") < event.start <= np.datetime64("2024-03-01T00:00:40")
    assert next(iter(event.channels)) == "Current"
    assert event.p_value == 1 / 733
    assert set(event.members) == set(fitted.members_)
    assert fitted.score_recording(faulty, explain=False).events[0].channels == {}


def test_missing_channel_is_left_out_and_named(fitted, faulty):
    """Short gaps are interpolated; the score of windows without a channel is that of the others."""
    frame = faulty.copy()
    frame.iloc[100:102, 2] = np.nan
    frame.iloc[600:700, 2] = np.nan
    found = fitted.score_recording(frame)
    is_missing = found.health[:, 2] != 0
    assert is_missing.tolist() == ((found.first_row < 700) & (found.last_row >= 600)).tolist()
    assert np.isfinite(found.score).all()
    assert found.is_anomaly[is_missing].all()
    (event,) = (event for event in found.events if event.first_row >= 500 and event.health)
    assert event.health == {"Flow": "missing"}
    assert event.channels["Flow"] == pytest.approx(0, abs=1e-6)


def test_other_sampling_rates_are_resampled(fitted):
    """Twice the rate, by means of two rows, which begin at a multiple of the period."""
    frame = record(5, 2000, rate=20)
    with pytest.raises(DataError, match=r"recording 0: expected a row every 0.1 s, .* found one every 0.05 s. Resample"):
        fitted.score_recording(frame)
    found = fitted.score_recording(frame, resample=True)
    x = frame.to_numpy(np.float32).reshape(1000, 2, 3).mean(axis=1, dtype=np.float64).astype(np.float32)
    expected = fitted.score_recording(pd.DataFrame(x, frame.index[::2], NAMES))
    np.testing.assert_allclose(found.score, expected.score, rtol=1e-4)
    assert found.first_row.tolist() == (2 * expected.first_row).tolist()
    np.testing.assert_array_equal(found.start, expected.start)
    assert fitted.load_recording(frame, resample=True).x.shape == (1000, 3)
    assert fitted.load_recording(frame).x.shape == (2000, 3)
    assert fitted.plot(frame, resample=True) is not None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda frame: frame.drop(columns="Flow"), "expected the 3 channels Pressure, Current, Flow, missing: Flow. Name"),
        (lambda frame: frame.rename(columns={"Flow": "Fan"}), "missing: Flow; new: Fan. Name the 3 channels, in this order"),
        (
            lambda frame: Recording(frame.to_numpy()[:, :2], "a.csv"),
            "a.csv: expected the 3 channels Pressure, Current, Flow, th",
        ),
        (lambda frame: frame[:20], "recording 0: expected at least 32 rows, the length of a window, found 20"),
        (lambda frame: [frame, frame], "expected one recording. Received: 2. Give them one by one"),
        (lambda frame: frame[:0], "recording 0: expected rows of numbers, found none"),
    ],
)
def test_recordings_that_do_not_fit(fitted, faulty, change, message):
    with pytest.raises(DataError) as error:
        fitted.score_recording(change(faulty))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_columns_are_found_by_name(fitted, faulty):
    mixed = faulty[["Flow", "Pressure", "Current"]].assign(Fan=1.0)
    np.testing.assert_array_equal(fitted.score_recording(mixed).score, fitted.score_recording(faulty).score)
    named = AMSLDetector(channel_names=["Current", "Flow"]).fit_recordings(mixed, window=STEPS)
    assert named.config_.channel_names == ("Current", "Flow")
    with pytest.raises(DataError, match="expected the 2 channels Current, Fan, missing: Fan"):
        AMSLDetector(channel_names=["Current", "Fan"]).fit_recordings(faulty, window=STEPS)


def test_recordings_without_names_have_the_channels_in_order(fitted, faulty):
    expected = fitted.score_recording(faulty)
    for recording in (faulty.to_numpy(), Recording(faulty.to_numpy(), "a.csv"), faulty.set_axis(range(3), axis=1)):
        found = fitted.score_recording(recording)
        assert found.channel_names == NAMES
        np.testing.assert_array_equal(found.score, expected.score)


def test_stride_in_rows_and_in_time(fitted, faulty):
    for stride in (16, "16", "1.6s"):
        assert fitted.score_recording(faulty, stride=stride, explain=False).first_row.tolist() == list(range(0, 969, 16))
    with pytest.raises(DataError, match="stride must be a whole number of rows"):
        fitted.score_recording(faulty, stride="50ms")


def test_figure(fitted, faulty):
    figure = fitted.plot(faulty)
    titles = [axis.get_title("left") for axis in figure.axes]
    assert titles[:2] == ["recording 0: score of windows", "Current"]
    assert len(titles) == 4


@pytest.mark.parametrize("method", ["score_recording", "plot", "load_recording", "p_values", "set_alert_budget"])
def test_detector_must_be_fitted(method, faulty):
    with pytest.raises(NotFittedError):
        getattr(AMSLDetector(), method)("1/day" if method == "set_alert_budget" else faulty)
    with pytest.raises(NotFittedError):
        AMSLDetector().plan()


def test_failed_fit_changes_nothing(fitted):
    before = {name: getattr(fitted, f"{name}_") for name in KEPT}
    with pytest.raises(DataError, match="at least 2 normal windows"):
        fitted.fit_recordings(record(0, 20), window=STEPS)
    assert all(getattr(fitted, f"{name}_") is before[name] for name in KEPT)


def test_description_in_saved_folder_is_json(fitted, tmp_path):
    fitted.save(tmp_path / "saved")
    about = json.loads((tmp_path / "saved/data.json").read_text())[RECORDINGS]
    assert about["max_gap"] == pytest.approx(0.8)
    assert about["recordings"] == 6
