"""The robustness benchmark: the changes of windows, and the page."""

import json

import numpy as np
import pytest

from amsl_tf.data.windows import Windows
from amsl_tf.errors import AMSLError
from benchmarks import robustness, robustness_page
from tests.benchmarks.conftest import table_rows
from tests.conftest import ROOT


@pytest.fixture
def ramp():
    """Six windows (50, 10) of one recording whose values rise by 1 in each step, and the windows before them."""
    steps = np.arange(7 * 50, dtype=np.float32).reshape(7, 50, 1)
    recording = steps + 1000 * np.arange(10, dtype=np.float32)
    return recording[1:], recording[:-1]


def changed_units(changed, x):
    """Returns the units with changed channels, for each window."""
    return [sorted({channel // 2 for channel in np.flatnonzero((a != b).any(axis=0))}) for a, b in zip(changed, x, strict=True)]


def test_every_condition_has_a_title():
    assert list(robustness.CONDITIONS) == list(robustness_page.TITLES)


def test_signal_to_noise_ratio(rng):
    x = rng.normal(size=(40, 500, 10)).astype(np.float32) * np.geomspace(0.01, 100, 10, dtype=np.float32)
    x[0, :, 3] = 0
    changed = robustness.noisy(10)(x, x, rng)
    ratio = np.mean(np.square(x[1:]), axis=(0, 1)) / np.mean(np.square(changed - x)[1:], axis=(0, 1))
    np.testing.assert_allclose(10 * np.log10(ratio), 10, atol=0.2)
    assert not changed[0, :, 3].any()  # a constant channel gets no noise
    assert changed.dtype == np.float32


def test_silent_unit(ramp):
    x, before = ramp
    changed = robustness.silent(x, before, None)
    assert changed_units(changed, x) == [[0], [1], [2], [3], [4], [0]]
    assert not changed[1, :, 2:4].any()


def test_delayed_unit(ramp):
    x, before = ramp
    changed = robustness.delayed(1.0)(x, before, None)
    assert changed_units(changed, x) == [[0], [1], [2], [3], [4], [0]]
    np.testing.assert_array_equal(changed[2, :, 4:6], x[2, :, 4:6] - 25)  # 25 steps per second


def test_windows_that_follow_another():
    x = np.zeros((5, 20, 1), np.float32)
    windows = Windows(x, activity=["a1", "a1", "a2", "a2", "a2"], subject=["p1", "p1", "p1", "p2", "p2"])
    assert robustness.follows_another(windows).tolist() == [False, True, False, False, True]
    with pytest.raises(AMSLError, match="need a column activity"):
        robustness.follows_another(Windows(x))


def test_missing_network_is_an_error(generated, monkeypatch):
    monkeypatch.setattr(robustness_page, "DETECTORS", ("amsl",))
    with pytest.raises(AMSLError, match=r"accuracy --only amsl --protocols window .* first"):
        robustness.run(generated, generated / "results", generated / "work", ["window"], generated)


def test_page_shows_the_stored_results(tmp_path):
    """The conditions that AMSL lacks get a dash."""
    results = tmp_path / "results"
    results.mkdir()
    metrics = {"f1": 0.5, "auroc": 0.75, "recall_normal": 0.9, "recall_abnormal": 0.625}
    for detector, score in robustness_page.METHODS:
        for name in ("clean", *(["late_1.0"] if detector != "amsl" else [])):
            file = results / f"subject.{detector}.{name}.json"
            scores = json.loads(file.read_text())["scores"] if file.exists() else {}
            file.write_text(json.dumps({"scores": {**scores, score: metrics}}))
    page, figure = robustness_page.write(results, tmp_path)
    text = page.read_text()
    rows = table_rows(text)
    assert "## Protocol window" not in text
    assert rows.count(["condition", "ensemble", "control", "AMSL, nearest normal", "AMSL, reconstruction"]) == 4
    for value in ("0.500", "0.750", "0.100", "0.625"):
        assert ["unchanged", value, value, value, value] in rows
        assert ["one unit delayed 1 s", value, value, "-", "-"] in rows
    assert "20 dB" not in text
    assert figure.read_bytes().startswith(b"\x89PNG")


def test_committed_page_is_up_to_date(tmp_path):
    page, _ = robustness_page.write(ROOT / "benchmarks/results/robustness", tmp_path)
    assert page.read_text() == (ROOT / "docs/robustness.md").read_text()


def test_finished_conditions_are_not_repeated(generated, monkeypatch):
    for kind in ("normal", "abnormal"):  # every window follows another of its subject
        index = generated / f"{kind}.csv"
        lines = index.read_text().splitlines()
        index.write_text("\n".join([lines[0], *sorted(lines[1:])]) + "\n")
    detectors = ("ensemble", "nearest_norm_spectra")  # those that need no trained network
    monkeypatch.setattr(robustness_page, "DETECTORS", detectors)
    results = generated / "results"
    robustness.run(generated, results, generated, ["window"], generated)
    first = {file.name: file.read_text() for file in results.iterdir()}
    assert set(first) == {f"window.{detector}.{name}.json" for detector in detectors for name in robustness.CONDITIONS}
    (results / "window.ensemble.silent.json").unlink()
    monkeypatch.setitem(robustness.CONDITIONS, "late_1.0", lambda *_: pytest.fail("the condition was evaluated again"))
    robustness.run(generated, results, generated, ["window"], generated)
    assert {file.name: file.read_text() for file in results.iterdir()} == first
    rows = table_rows((generated / "robustness.md").read_text())
    assert ["unchanged", "1.000", "1.000", "-", "-"] in rows  # AUROC: abnormal windows have three times the amplitude
