"""What several test files need."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


@pytest.fixture(scope="session")
def waves() -> np.ndarray:
    """40 small normal windows (24 time steps, 3 channels): sines of one frequency with noise."""
    generator = np.random.default_rng(3)
    time = np.arange(24) / 6
    phase = generator.uniform(0, 2 * np.pi, (40, 1, 1))
    return (np.sin(time[None, :, None] + phase + np.arange(3)) + generator.normal(0, 0.05, (40, 24, 3))).astype(np.float32)


@pytest.fixture(scope="session")
def dsads() -> Path:
    """The root of real DSADS data, whole or in part."""
    return Path(os.environ["AMSL_TF_DSADS"])


def run_python(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs Python in the repository's root, to its end."""
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
