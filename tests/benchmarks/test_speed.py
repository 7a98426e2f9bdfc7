"""The speed benchmark: its count of operations by hand, and that every variant computes."""

import json
import subprocess
import sys

import pytest

from amsl_tf.model_config import AMSLConfig
from benchmarks.speed import SHAPE, forward_flops, table, training_flops
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


def test_the_table_has_every_row_the_reference_first():
    row = {"task": "training", "windows_per_second": 9.0, "ratio": 1.0, "ceiling_share": 0.5, "peak_memory_gb": 2.0}
    rows = [{**row, "variant": name} for name in ("amsl_tf float32", "reference float32")]
    shown = table({"device": "CPU", "ceiling_gflops": {"float32": 200.0}, "rounds": 3, "rows": rows})
    lines = [line for line in shown.splitlines() if "training" in line]
    assert [line.split()[0] for line in lines] == ["reference", "amsl_tf"]
