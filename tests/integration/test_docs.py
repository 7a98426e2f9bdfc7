"""What the pages in docs say: the program in gpu.md does what the page says, and tests that are named are there."""

import re

import numpy as np
import pytest

from amsl_tf import AMSLDetector
from amsl_tf.data.store import TRAIN, write_index
from amsl_tf.views import VIEWS
from tests.conftest import ROOT, run_python

SETTINGS = {"epochs": 2, "seed": 0, "num_slots": 5, "batch_size": 4}


def test_the_tests_that_pages_name_are_there():
    named = {name for page in (ROOT / "docs").glob("*.md") for name in re.findall(r"`(test_\w+)`", page.read_text())}
    there = {name for file in (ROOT / "tests").rglob("*.py") for name in re.findall(r"def (test_\w+)", file.read_text())}
    assert len(named) >= 10
    assert named <= there


@pytest.mark.slow
def test_a_network_is_trained_on_jax_without_tensorflow_and_taken_back(waves, tmp_path):
    views = {view.suffix: waves + np.float32(place) for place, view in enumerate(VIEWS)}
    for suffix, of_view in views.items():
        file = TRAIN.file(tmp_path, suffix)
        file.parent.mkdir(exist_ok=True)
        np.save(file, of_view)
    write_index(TRAIN.index(tmp_path), {"subject": np.full(len(waves), "p1")})
    (program,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs/gpu.md").read_text(), re.DOTALL)
    for said, here in {
        "data/transform_dataset": str(tmp_path),
        '"network.weights.h5"': f'"{tmp_path}/network.weights.h5"',
        "epochs=100, seed=0": ", ".join(f"{name}={value}" for name, value in SETTINGS.items()),
    }.items():
        assert said in program
        program = program.replace(said, here)
    (tmp_path / "train_jax.py").write_text("import sys\nsys.modules['tensorflow'] = None\n" + program)
    finished = run_python(tmp_path / "train_jax.py", KERAS_BACKEND="jax")
    assert finished.returncode == 0, finished.stderr
    detector = AMSLDetector(**SETTINGS).fit(waves, weights=tmp_path / "network.weights.h5")
    assert np.isfinite(detector.decision_function(waves)).all()
