"""The speed benchmark: the number of operations, the workers of the variants, and the report."""

import json
import os
import subprocess
import sys
from contextlib import closing

import pytest

from amsl_tf.errors import AMSLError
from amsl_tf.networks.amsl import AMSLConfig
from benchmarks import speed
from benchmarks.speed import SHAPE, forward_flops, training_flops
from benchmarks.workers import SIZES
from tests.benchmarks.conftest import table_rows, write_page
from tests.conftest import ROOT


def test_operations_of_small_networks():
    """A view of 4 x 4 cells has one position. Without memories the decoder has 64 input channels."""
    alone = AMSLConfig(views=("raw",), memory="none", self_supervision=False)
    encoder = 16 * (16 * 1 * 32 + 4 * 32 * 64)
    decoder = 16 * (64 * 128 + 128 * 64 + 4 * 64 * 32 + 16 * 32)
    assert forward_flops(alone, (4, 4)) == 2 * (encoder + decoder)
    assert training_flops(alone, (4, 4)) == 3 * forward_flops(alone, (4, 4)) - 2 * 16 * 16 * 32
    both = AMSLConfig(views=("raw",), self_supervision=False)
    reads = 2 * 2 * 500 * 64
    assert forward_flops(both, (4, 4)) == 2 * (encoder + decoder + reads + 16 * 64 * 128)


def test_operations_with_fewer_filters():
    alone = AMSLConfig(views=("raw",), filters=4, memory="none", self_supervision=False)
    encoder = 16 * (16 * 1 * 4 + 4 * 4 * 64)
    decoder = 16 * (64 * 16 + 16 * 8 + 4 * 8 * 4 + 16 * 4)
    assert forward_flops(alone, (4, 4)) == 2 * (encoder + decoder)
    assert training_flops(alone, (4, 4)) == 3 * forward_flops(alone, (4, 4)) - 2 * 16 * 16 * 4


def test_network_of_the_paper_has_4_3_gflop():
    assert forward_flops(AMSLConfig(), SHAPE) == pytest.approx(4.3e9, rel=0.02)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ceiling", "reference float32", "amsl_tf float32", "amsl_tf bfloat16", "70"])
def test_worker_measures_its_tasks(name):
    tasks = {
        "ceiling": {f"ceiling {precision}": 2.0 * SIZES["CPU"] ** 3 for precision in speed.PRECISIONS},
        "70": {"scoring": 70},
    }
    with closing(speed.Worker(name)) as worker:
        assert worker.tasks == tasks.get(name, {"training": 32, "scoring": 32})
        assert all(worker.measure(task) > 0 for task in worker.tasks)
        assert 0.1 < worker.peak_memory() < 5


def test_failed_worker_is_an_error_with_its_message():
    with pytest.raises(AMSLError, match=r"^no variant: .* failed with status 1 \(ValueError: .*no variant"):
        speed.Worker("no variant")


@pytest.fixture
def run_instead(monkeypatch):
    """Replaces the code of workers."""
    started = subprocess.Popen

    def replace(code):
        command = [sys.executable, "-c", code]
        monkeypatch.setattr(subprocess, "Popen", lambda _, **settings: started(command, **settings))

    return replace


WITHOUT = "import sys; sys.modules[{!r}] = None; from benchmarks.workers import main; main({!r})"


def test_variants_without_pytorch_are_skipped(run_instead):
    run_instead(WITHOUT.format("torch", "torch float32"))
    with closing(speed.Worker("torch float32")) as worker:
        assert worker.tasks == {}


def test_other_missing_libraries_are_an_error(run_instead):
    run_instead(WITHOUT.format("tensorflow", "ceiling"))
    with pytest.raises(AMSLError, match="tensorflow"):
        speed.Worker("ceiling")


@pytest.mark.skipif(os.name != "posix", reason="there is no SIGKILL")
def test_killed_worker_is_an_error(run_instead):
    run_instead("import time; print('{}', flush=True); time.sleep(60)")
    with closing(speed.Worker("ceiling")) as worker:
        worker._process.kill()
        worker._process.wait()
        with pytest.raises(AMSLError, match="failed with status -9"):
            worker.measure("training")


def test_report_of_two_rounds():
    """Two rounds, in which amsl_tf takes half and two thirds of the seconds of the reference."""
    names = ("reference float32", "amsl_tf float32", "amsl_tf bfloat16")
    seconds = {name: {task: [1.0, 2.0] for task in speed.TASKS} for name in names}
    seconds["reference float32"] = {task: [2.0, 3.0] for task in speed.TASKS}
    amounts = {name: dict.fromkeys(speed.TASKS, 32.0) for name in names}
    seconds["ceiling"], amounts["ceiling"] = (
        {f"ceiling {precision}": amount for precision, amount in zip(speed.PRECISIONS, values, strict=True)}
        for values in (([1.0, 1.0], [1.0, 1.0]), (1e12, 2e12))
    )
    report = speed._report(seconds, amounts, dict.fromkeys(names, 1.5))
    assert report["ceiling_gflops"] == {"float32": 1000.0, "bfloat16": 2000.0}
    (package,) = (row for row in report["rows"] if (row["variant"], row["task"]) == ("amsl_tf bfloat16", "scoring"))
    assert package["windows_per_second"] == 24.0  # between 32 and 16
    assert package["ratio"] == report["scoring_speedup_bfloat16"] == pytest.approx(24 / ((16 + 32 / 3) / 2))
    assert package["ratio_range"] == pytest.approx([1.5, 2.0])
    assert package["ceiling_share"] == pytest.approx(24 * forward_flops(AMSLConfig(), SHAPE) / 2e12)


def test_table_starts_with_the_reference(tmp_path, monkeypatch):
    row = {"windows_per_second": 9.0, "ratio": 1.0, "ratio_range": [0.9, 1.3], "ceiling_share": 0.5, "peak_memory_gb": 2.0}
    rows = [
        {**row, "variant": name, "task": task}
        for name in ("amsl_tf float32", "reference float32")
        for task in ("training", "scoring")
    ]
    rows[1]["ratio"] = 1.25
    report = {
        "device": "CPU",
        "fast_bfloat16": ["amx_bf16"],
        "ceiling_gflops": {"float32": 200.0},
        "rounds": 3,
        "rows": rows,
        "scoring_memory_gb": {"320": 0.5, "3200": 0.75},
    }
    monkeypatch.setattr(speed, "measure", lambda rounds: report)
    page = tmp_path / speed.PAGE
    write_page(page, speed.SECTION)
    speed.run(tmp_path / "speed.json", 3, tmp_path)
    text = page.read_text()
    assert "\nCPU, amx_bf16. Matrix multiplication (GEMM): 200 GFLOP/s in float32. Medians of 3 rounds.\n" in text
    assert "0.50 GB for 320 windows and 0.75 GB for 3,200 windows" in text
    _, reference, package = table_rows(text)
    assert reference == ["reference float32", "9.0", "1.00", "0.50", "9.0", "1.00", "0.50", "2.0"]
    assert package[:3] == ["amsl_tf float32", "9.0", "1.00 (0.90 to 1.30)"]
    assert package[5:] == ["1.25 (0.90 to 1.30)", "0.50", "2.0"]
    assert json.loads((tmp_path / "speed.json").read_text()) == report

    monkeypatch.setattr(speed, "measure", lambda rounds: pytest.fail("the variants were measured"))
    write_page(page, speed.SECTION)
    speed.run(tmp_path / "speed.json", 3, tmp_path, from_file=True)
    assert page.read_text() == text


def test_committed_table_is_up_to_date(tmp_path):
    page = tmp_path / speed.PAGE
    committed = (ROOT / "docs" / speed.PAGE).read_text()
    page.write_text(committed)
    speed.write(json.loads((ROOT / "benchmarks/results/speed.json").read_text()), tmp_path)
    assert page.read_text() == committed


def test_missing_section_is_an_error_before_anything_is_measured(tmp_path, monkeypatch):
    monkeypatch.setattr(speed, "measure", lambda rounds: pytest.fail("the variants were measured"))
    with pytest.raises(AMSLError, match="speed"):
        speed.run(tmp_path / "speed.json", 1, tmp_path)
