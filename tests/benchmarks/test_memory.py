"""The memory of a process is its own."""

import subprocess
import sys

import numpy as np

from benchmarks.memory import peak_memory

MB = 2**20


def test_memory_of_the_parent_does_not_count():
    before = peak_memory()
    values = np.ones(400 * MB, np.uint8)
    assert peak_memory() >= min(before, 400 * MB)
    program = f"from benchmarks.memory import peak_memory; x = bytearray({100 * MB}); print(peak_memory())"
    child = int(subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True).stdout)
    assert 100 * MB < child < 300 * MB < values.nbytes
