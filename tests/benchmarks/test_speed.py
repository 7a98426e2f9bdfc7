"""The speed benchmark: its count of operations by hand, and that every variant computes."""

import json
import os
import subprocess
import sys
from contextlib import closing

import pytest

from amsl_tf.errors import AMSLError
from amsl_tf.model_config import AMSLConfig
from benchmarks import speed
from benchmarks.speed import SHAPE, forward_flops, training_flops
from benchmarks.workers import SIZES
from tests.conftest import ROOT


def test_operations_by_hand():
    """A view of 4 x 4 cells has one position. Without memories a decoder sees 64 channels."""
    alone = AMSLConfig(views=("raw",), memory="none", self_supervision=False)
    encoder = 16 * (16 * 1 * 32 + 4 * 32 * 64)
    decoder = 16 * (64 * 128 + 128 * 64 + 4 * 64 * 32 + 16 * 32)
    assert forward_flops(alone, (4, 4)) == 2 * (encoder + decoder)
    assert training_flops(alone, (4, 4)) == 3 * forward_flops(alone, (4, 4)) - 2 * 16 * 16 * 32
    both = AMSLConfig(views=("raw",), self_supervision=False)
    reads = 2 * 2 * 500 * 64
    assert forward_flops(both, (4, 4)) == 2 * (encoder + decoder + reads + 16 * 64 * 128)


def test_the_papers_network_has_4_3_gflop():
    assert forward_flops(AMSLConfig(), SHAPE) == pytest.approx(4.3e9, rel=0.02)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ceiling", "reference float32", "amsl_tf float32", "amsl_tf bfloat16", "70"])
def test_a_worker_does_its_tasks(name):
    tasks = {
        "ceiling": {f"ceiling {precision}": 2.0 * SIZES["CPU"] ** 3 for precision in speed.PRECISIONS},
        "70": {"scoring": 70},
    }
    with closing(speed.Worker(name)) as worker:
        assert worker.tasks == tasks.get(name, {"training": 32, "scoring": 32})
        assert all(worker.seconds(task) > 0 for task in worker.tasks)
        assert 0.1 < worker.peak_memory() < 5


def test_a_worker_that_fails_is_told_with_what_it_said():
    with pytest.raises(AMSLError, match=r"^no variant: .* failed with status 1 \(ValueError: .*no variant"):
        speed.Worker("no variant")


@pytest.fixture
def run_instead(monkeypatch):
    """Has workers run other code."""
    started = subprocess.Popen

    def replace(code):
        command = [sys.executable, "-c", code]
        monkeypatch.setattr(subprocess, "Popen", lambda _, **settings: started(command, **settings))

    return replace


WITHOUT = "import sys; sys.modules[{!r}] = None; from benchmarks.workers import main; main({!r})"


def test_without_pytorch_its_rows_are_left_out(run_instead):
    run_instead(WITHOUT.format("torch", "torch float32"))
    with closing(speed.Worker("torch float32")) as worker:
        assert worker.tasks == {}


def test_without_another_library_nothing_is_left_out(run_instead):
    run_instead(WITHOUT.format("tensorflow", "ceiling"))
    with pytest.raises(AMSLError, match="tensorflow"):
        speed.Worker("ceiling")


@pytest.mark.skipif(os.name != "posix", reason="there is no SIGKILL")
def test_a_worker_that_is_killed_is_told(run_instead):
    run_instead("import time; print('{}', flush=True); time.sleep(60)")
    with closing(speed.Worker("ceiling")) as worker:
        worker._process.kill()
        worker._process.wait()
        with pytest.raises(AMSLError, match="failed with status -9"):
            worker.seconds("training")


def test_figures_by_hand():
    """Two rounds; the product takes half of the reference's seconds in one and two thirds in the other."""
    names = ("reference float32", "amsl_tf float32", "amsl_tf bfloat16")
    seconds = {name: {task: [1.0, 2.0] for task in speed.TIMED} for name in names}
    seconds["reference float32"] = {task: [2.0, 3.0] for task in speed.TIMED}
    amounts = {name: dict.fromkeys(speed.TIMED, 32.0) for name in names}
    seconds["ceiling"], amounts["ceiling"] = (
        {f"ceiling {precision}": amount for precision, amount in zip(speed.PRECISIONS, of_both, strict=True)}
        for of_both in (([1.0, 1.0], [1.0, 1.0]), (1e12, 2e12))
    )
    report = speed._report(seconds, amounts, dict.fromkeys(names, 1.5))
    assert report["ceiling_gflops"] == {"float32": 1000.0, "bfloat16": 2000.0}
    (product,) = (row for row in report["rows"] if (row["variant"], row["task"]) == ("amsl_tf bfloat16", "scoring"))
    assert product["windows_per_second"] == 24.0  # between 32 and 16
    assert product["ratio"] == report["scoring_speedup_bfloat16"] == pytest.approx(24 / ((16 + 32 / 3) / 2))
    assert product["ratio_range"] == pytest.approx([1.5, 2.0])
    assert product["ceiling_share"] == pytest.approx(24 * forward_flops(AMSLConfig(), SHAPE) / 2e12)


def test_the_table_has_every_variant_the_reference_first(tmp_path, monkeypatch):
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
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{speed.START}\n{speed.END}\nafter\n")
    speed.run(tmp_path / "speed.json", 3, tmp_path)
    head, *_, reference, product, _, memory, _, after = readme.read_text().splitlines()[2:]
    assert head.startswith("CPU, amx_bf16; products of matrices reach 200 GFLOP/s in float32;")
    assert reference == "| reference float32 | 9.0 | 1.00 | 0.50 | 9.0 | 1.00 | 0.50 | 2.0 |"
    assert product == "| amsl_tf float32 | 9.0 | 1.00 (0.90 to 1.30) | 0.50 | 9.0 | 1.25 (0.90 to 1.30) | 0.50 | 2.0 |"
    assert "0.50 GB for 320 windows and 0.75 GB for 3,200 windows" in memory
    assert after == "after"
    assert json.loads((tmp_path / "speed.json").read_text()) == report


def test_what_is_committed_is_what_is_generated(tmp_path):
    committed = (ROOT / "README.md").read_text()
    (tmp_path / "README.md").write_text(committed)
    speed.write(json.loads((ROOT / "benchmarks/results/speed.json").read_text()), tmp_path)
    assert (tmp_path / "README.md").read_text() == committed


def test_a_readme_without_a_place_is_told_before_it_is_measured(tmp_path, monkeypatch):
    monkeypatch.setattr(speed, "measure", lambda rounds: pytest.fail("measured"))
    with pytest.raises(AMSLError, match="speed"):
        speed.run(tmp_path / "speed.json", 1, tmp_path)
