"""The speed benchmark: its count of operations by hand, and that every variant computes."""

import json
import subprocess
import sys

import pytest

from amsl_tf.errors import AMSLError
from amsl_tf.model_config import AMSLConfig
from benchmarks import speed
from benchmarks.speed import SHAPE, forward_flops, training_flops
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
@pytest.mark.parametrize("name", ["ceiling", "reference float32", "amsl_tf float32", "amsl_tf bfloat16"])
def test_a_worker_answers_in_seconds(name):
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.workers", name],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    tasks = ["ceiling float32", "ceiling bfloat16"] if name == "ceiling" else ["training", "scoring"]
    answers, _ = process.communicate("\n".join([*tasks, "memory"]) + "\n")
    said, *seconds = map(json.loads, answers.splitlines())
    assert said == tasks
    assert len(seconds) == 3
    assert all(value > 0 for value in seconds)


def test_the_table_has_every_variant_the_reference_first(tmp_path, monkeypatch):
    row = {"windows_per_second": 9.0, "ratio": 1.0, "ceiling_share": 0.5, "peak_memory_gb": 2.0}
    rows = [
        {**row, "variant": name, "task": task}
        for name in ("amsl_tf float32", "reference float32")
        for task in ("training", "scoring")
    ]
    rows[1]["ratio"] = 1.25
    report = {"device": "CPU", "ceiling_gflops": {"float32": 200.0}, "rounds": 3, "rows": rows}
    monkeypatch.setattr(speed, "measure", lambda rounds: report)
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{speed.START}\n{speed.END}\nafter\n")
    speed.run(tmp_path / "speed.json", 3, tmp_path)
    *_, reference, product, _, after = readme.read_text().splitlines()
    assert reference == "| reference float32 | 9.0 | 1.00 | 0.50 | 9.0 | 1.00 | 0.50 | 2.0 |"
    assert product == "| amsl_tf float32 | 9.0 | 1.00 | 0.50 | 9.0 | 1.25 | 0.50 | 2.0 |"
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
