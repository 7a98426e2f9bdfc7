"""The robustness benchmark: what is done to windows is what the page says, and only to those that it says."""

import json

import numpy as np
import pytest

from amsl_tf.data.windows import Windows
from amsl_tf.detector import AMSLDetector
from amsl_tf.errors import AMSLError
from benchmarks import robustness, robustness_page
from benchmarks.experiments import Experiment, Run
from benchmarks.parts import read_parts
from tests.conftest import ROOT


@pytest.fixture
def ramp():
    """Six windows of 50 steps and 10 channels in one recording, which counts its steps: before, and now."""
    steps = np.arange(7 * 50, dtype=np.float32).reshape(7, 50, 1)
    recording = steps + 1000 * np.arange(10, dtype=np.float32)
    return recording[1:], recording[:-1]


def units_changed(changed, x):
    return [sorted({channel // 2 for channel in np.flatnonzero((a != b).any(axis=0))}) for a, b in zip(changed, x, strict=True)]


def test_every_condition_has_a_title():
    assert list(robustness.CONDITIONS) == list(robustness_page.TITLES)


def test_noise_is_as_loud_as_it_says(rng):
    x = rng.normal(size=(40, 500, 10)).astype(np.float32) * np.geomspace(0.01, 100, 10, dtype=np.float32)
    x[0, :, 3] = 0
    changed = robustness.noisy(10)(x, x, rng)
    ratio = np.mean(np.square(x[1:]), axis=(0, 1)) / np.mean(np.square(changed - x)[1:], axis=(0, 1))
    np.testing.assert_allclose(10 * np.log10(ratio), 10, atol=0.2)
    assert not changed[0, :, 3].any()  # a still channel stays still
    assert changed.dtype == np.float32


def test_one_unit_is_silent(ramp):
    x, before = ramp
    changed = robustness.silent(x, before, None)
    assert units_changed(changed, x) == [[0], [1], [2], [3], [4], [0]]
    assert not changed[1, :, 2:4].any()


def test_one_unit_is_late(ramp):
    x, before = ramp
    changed = robustness.late(1.0)(x, before, None)
    assert units_changed(changed, x) == [[0], [1], [2], [3], [4], [0]]
    np.testing.assert_array_equal(changed[2, :, 4:6], x[2, :, 4:6] - 25)  # 25 steps a second, one step is 1


def test_a_window_follows_one_of_its_recording():
    x = np.zeros((5, 20, 1), np.float32)
    windows = Windows(x, activity=["a1", "a1", "a2", "a2", "a2"], subject=["p1", "p1", "p1", "p2", "p2"])
    assert robustness.follows(windows).tolist() == [False, True, False, False, True]
    with pytest.raises(AMSLError, match="need a column activity"):
        robustness.follows(Windows(x))


def test_a_detector_that_is_not_kept_is_asked_for(generated):
    with pytest.raises(AMSLError, match="accuracy --only amsl --protocols window first"):
        robustness.run(generated, generated / "results", generated / "work", ["window"], generated)


def test_the_page_shows_what_has_been_run(tmp_path):
    metrics = {method: {"f1": 0.5, "auroc": 0.75, "recall_normal": 0.9} for method in robustness_page.METHODS}
    results = tmp_path / "results"
    results.mkdir()
    for name in ("clean", "noise_30", "late_1.0"):
        (results / f"subject.{name}.json").write_text(json.dumps({"scores": metrics}))
    page, figure = robustness_page.write(results, tmp_path)
    text = page.read_text()
    assert "## Protocol window" not in text
    assert "| one unit 1 s late " + "| 0.500 | 0.750 | 0.100 " * 3 + "|" in text
    assert "20 dB" not in text
    assert figure.read_bytes().startswith(b"\x89PNG")


def test_what_is_committed_is_what_is_generated(tmp_path):
    page, _ = robustness_page.write(ROOT / "benchmarks/results/robustness", tmp_path)
    assert page.read_text() == (ROOT / "docs/robustness.md").read_text()


@pytest.mark.slow
def test_conditions_are_run_once(generated, monkeypatch):
    for kind in ("normal", "abnormal"):  # every window follows another of its person
        index = generated / f"{kind}.csv"
        lines = index.read_text().splitlines()
        index.write_text("\n".join([lines[0], *sorted(lines[1:])]) + "\n")
    parts = read_parts(generated, Run(Experiment("x", "x", "detector", {"window": 1}), "window", 0), [])
    detector = AMSLDetector(views=["raw"], self_supervision=False, num_slots=5, epochs=1).fit(parts.train)
    monkeypatch.setattr(robustness, "trained_detector", lambda *_: (detector, parts))
    results = generated / "results"
    robustness.run(generated, results, generated, ["window"], generated)
    first = {file.name: file.read_text() for file in results.iterdir()}
    assert set(first) == {f"window.{name}.json" for name in robustness.CONDITIONS}
    (results / "window.silent.json").unlink()
    monkeypatch.setitem(robustness.CONDITIONS, "late_1.0", lambda *_: pytest.fail("it was run again"))
    robustness.run(generated, results, generated, ["window"], generated)
    assert {file.name: file.read_text() for file in results.iterdir()} == first
    assert (generated / "robustness.md").exists()
