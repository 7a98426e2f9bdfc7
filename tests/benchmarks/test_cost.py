"""The cost benchmark: operations by hand, extrapolation of the paper's network, windows of the growth, and the tables."""

import json
from contextlib import closing

import numpy as np
import pytest

from amsl_tf.detector import AMSLDetector
from amsl_tf.errors import AMSLError
from amsl_tf.networks.amsl import AMSLConfig
from benchmarks import cost, cost_workers
from benchmarks.cost_workers import count_operations, knn, minirocket, write_windows
from benchmarks.experiments import Experiment, Run
from benchmarks.features import raw
from benchmarks.parts import read_parts
from benchmarks.speed import Worker, forward_flops
from tests.benchmarks.conftest import table_rows, write_page
from tests.conftest import ROOT


@pytest.fixture
def parts(generated):
    return read_parts(generated, Run(Experiment("default", "", "detector", {}), "window", 0), [])


def test_operations_of_an_ensemble(rng):
    """With 32 steps, the dilations 1 and 2 fit, with 125 kernels of length 9 each, 24 and 16 outputs, and 2 channels.

    The bank has 10 windows and two noisy copies of each, with four columns for each kernel.
    """
    windows = rng.normal(size=(10, 32, 2)).astype(np.float32)
    fitted = AMSLDetector(network=None, score="ensemble", members=["kernels"], noise=[20.0, 10.0]).fit(windows)
    convolutions, distances = 2 * 9 * 2 * 125 * (24 + 16), 2 * 30 * 1000
    assert convolutions + distances < count_operations(fitted) < 1.5 * (convolutions + distances)


def test_operations_of_a_network_are_counted(rng):
    windows = rng.normal(size=(8, 32, 4)).astype(np.float32)
    network = AMSLConfig(views=("raw",), filters=4, memory="none", self_supervision=False)
    fitted = AMSLDetector(network, score="reconstruction", epochs=1, mixed_precision="off").fit(windows)
    assert count_operations(fitted) == pytest.approx(forward_flops(network, (32, 4)), rel=0.25)


def test_threshold_of_minirocket_leaves_windows_out(parts):
    """A window is nearest to itself; left out, its distance is not 0. All abnormal windows are far."""
    fitted = minirocket()(parts)
    assert fitted.threshold > 1.0
    assert np.all(fitted.score(parts.train) < 1e-2)
    assert fitted.score(parts.test)[parts.is_abnormal].min() > fitted.threshold


def test_knn_is_the_distance_to_the_fifth_window(parts):
    fitted = knn()(parts)
    flat = raw(parts.train)
    scaled = [(raw(windows) - flat.mean(axis=0)) / flat.std(axis=0) for windows in (parts.train, parts.test)]
    distances = np.sqrt(((scaled[1][:, None] - scaled[0]) ** 2).sum(axis=2))
    np.testing.assert_allclose(fitted.score(parts.test), np.sort(distances, axis=1)[:, 4], rtol=1e-3)


def test_windows_of_the_growth_are_cut_from_the_source(tmp_path, monkeypatch):
    """Without noise, rows of a window follow each other in the source; all windows are filled, those of the last part, too."""
    monkeypatch.setattr(cost_workers, "NOISE", 0.0)
    monkeypatch.setattr(cost_workers, "CHUNK", 4)
    source = np.arange(3 * 50 * 9, dtype=np.float32).reshape(3, 50, 9)
    write_windows(tmp_path / "w.npy", 10, source)
    windows = np.load(tmp_path / "w.npy")
    assert windows.shape == (10, 32, 8)
    assert windows.dtype == np.float32
    assert np.all(np.diff(windows, axis=1) == 9)
    assert np.all(np.diff(windows, axis=2) == 1)
    assert len(np.unique(windows[:, 0, 0])) > 5


def test_fit_of_the_paper_is_extrapolated():
    """An epoch of 320 windows takes 10 s: 8 epochs of 3,200 take 800 s, and scoring them at 32 windows/s another 100."""
    seconds = {"fit 1": [15.0], "fit 2": [25.0], "scoring": [10.0], "latency": [0.1]}
    amounts = {"fit 1": 3_200, "fit 2": 3_200, "scoring": 320}
    assert cost.summarise(seconds, amounts) == {"fit": 900.0, "windows_per_second": 32.0, "latency": 0.1}


def test_summary_takes_medians_over_rounds():
    seconds = {"fit": [1.0, 9.0, 2.0], "scoring": [4.0, 2.0, 30.0], "latency": [0.1, 0.2, 0.3]}
    assert cost.summarise(seconds, {"fit": 5, "scoring": 100}) == {"fit": 2.0, "windows_per_second": 25.0, "latency": 0.2}


def test_exponent_of_a_square():
    assert cost.exponent({"windows": 10, "fit": 3.0}, {"windows": 100, "fit": 300.0}) == pytest.approx(2.0)


def test_growth_stops_before_a_long_fit(tmp_path, monkeypatch):
    """40 s for 4,000 windows: 40,000 are expected to take 400 s, more than 360."""
    started = []

    class Fake:
        def measure(self, task):
            return 40.0

        def peak_memory(self):
            return 1.0

        def close(self):
            pass

    monkeypatch.setattr(cost, "_start", lambda name, *_: started.append(name) or Fake())
    assert cost._measure_growth(tmp_path, tmp_path) == [{"windows": 4_000, "fit": 40.0, "peak_memory_gb": 1.0}]
    assert started == ["4000"]


@pytest.mark.slow
def test_worker_of_the_default(parts, generated, tmp_path):
    with closing(Worker("default", "benchmarks.cost_workers", str(generated), str(tmp_path / "saved"))) as worker:
        for task in ("fit", "warm-up", "scoring", "latency"):
            assert worker.measure(task) > 0
        assert worker.measure("accuracy")["auroc"] > 0.9
        worker.measure("save")
        assert worker.measure("operations") > 1e5
    assert 0 < cost._first_decision(tmp_path / "saved") < 60


def test_failed_load_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(cost.sys, "executable", "false")
    with pytest.raises(AMSLError, match="loading failed with status 1"):
        cost._first_decision(tmp_path)


ROW = {"fit": 10.0, "windows_per_second": 2_000.0, "latency": 0.0042, "peak_memory_gb": 1.5, "f1": 0.98, "auroc": 0.998}
REPORT = {
    "device": "CPU",
    "rounds": 3,
    "rows": [
        {**ROW, "detector": "default", "first_decision": 1.25, "operations": 36.5e6},
        {**ROW, "detector": "knn", "fit": 25.0, "windows_per_second": 500.0},
    ],
    "growth": [
        {"windows": 4_000, "fit": 5.0, "peak_memory_gb": 1.0},
        {"windows": 40_000, "fit": 50.0, "peak_memory_gb": 1.5},
    ],
}


def test_tables_show_ratios_and_what_was_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr(cost, "measure", lambda source, rounds: REPORT)
    page = tmp_path / cost.PAGE
    write_page(page, cost.SECTION)
    cost.run(tmp_path, tmp_path / "cost.json", 3, tmp_path)
    text = page.read_text()
    _, default, knn, _, small, large = table_rows(text)
    assert default[1:] == ["10.0 (1.00)", "2,000 (1.00)", "4.2", "1.25", "36.5", "1.50", "0.980", "0.998"]
    assert knn[1:6] == ["25.0 (2.50)", "500 (0.25)", "4.2", "", ""]
    assert small == ["4,000", "5.0", "1.00", ""]
    assert large == ["40,000", "50.0", "1.50", "1.00"]
    assert "more than 360 s: 400,000." in text

    monkeypatch.setattr(cost, "measure", lambda source, rounds: pytest.fail("the detectors were measured"))
    write_page(page, cost.SECTION)
    cost.run(tmp_path, tmp_path / "cost.json", 3, tmp_path, from_file=True)
    assert page.read_text() == text


def test_missing_section_is_an_error_before_anything_is_measured(tmp_path, monkeypatch):
    monkeypatch.setattr(cost, "measure", lambda source, rounds: pytest.fail("the detectors were measured"))
    with pytest.raises(AMSLError, match="cost"):
        cost.run(tmp_path, tmp_path / "cost.json", 1, tmp_path)


def test_committed_tables_are_up_to_date(tmp_path):
    page = tmp_path / cost.PAGE
    committed = (ROOT / "docs" / cost.PAGE).read_text()
    page.write_text(committed)
    cost.write(json.loads((ROOT / "benchmarks/results/cost.json").read_text()), tmp_path)
    assert page.read_text() == committed
