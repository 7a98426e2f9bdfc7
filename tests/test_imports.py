"""Imports: contracts between layers, and no heavy packages where nothing is computed."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import amsl_tf
from amsl_tf.registry import Registry
from tests.conftest import ROOT, run_python

HEAVY = ("tensorflow", "keras", "jax", "torch")


def modules_after(code: str, *names: str) -> set[str]:
    """Returns which of these modules a Python process has imported after running the code."""
    finished = run_python("-c", f"import sys\n{code}\nprint(sorted({set(names)!r} & set(sys.modules)))")
    assert finished.returncode == 0, finished.stderr
    return set(eval(finished.stdout.splitlines()[-1]))


def test_import_contracts():
    command = Path(sys.executable).with_name("lint-imports")
    finished = subprocess.run([command, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stdout
    assert "2 kept, 0 broken" in finished.stdout


def test_package_import_is_light():
    assert modules_after("import amsl_tf", *HEAVY, "numpy", "sklearn", "pandas") == set()
    code = (
        "import amsl_tf as a; a.VIEWS; a.DetectorConfig(); a.Windows; a.NETWORKS['rftm']; a.SCORES; a.DATASETS; a.load_dataset"
    )
    assert modules_after(code, *HEAVY) == set()


@pytest.mark.parametrize("command", ["", "train", "score"])
def test_help_is_light(command):
    arguments = [command, "--help"] if command else ["--help"]
    code = f"from amsl_tf.cli import main\ntry:\n    main({arguments})\nexcept SystemExit: pass"
    assert modules_after(code, *HEAVY, "sklearn", "pandas", "matplotlib") == set()


def test_load_and_score_without_optional_packages(detector, waves, tmp_path):
    """Keras imports Matplotlib and psutil if they are installed, so these are made unavailable, too."""
    detector.save(tmp_path / "saved")
    np.save(tmp_path / "waves.npy", waves)
    unavailable = ["tensorboard", "matplotlib", "psutil", "jinja2", "tabulate", "fastapi"]
    code = (
        f"import sys\nsys.modules.update(dict.fromkeys({unavailable}))\n"
        "import numpy as np\nfrom amsl_tf import AMSLDetector\n"
        "print(AMSLDetector.load(sys.argv[1] + '/saved').predict(np.load(sys.argv[1] + '/waves.npy')).sum())"
    )
    finished = run_python("-c", code, tmp_path)
    assert finished.stdout == f"{detector.predict(waves).sum()}\n", finished.stderr


def test_view_files_need_no_tensorflow():
    """A network can be trained on another Keras backend without TensorFlow (docs/gpu.md)."""
    assert modules_after("import amsl_tf.views.files, amsl_tf.persistence, amsl_tf.export.layout", "tensorflow") == set()


def test_public_names():
    assert set(amsl_tf.__all__) <= set(dir(amsl_tf))
    for name in amsl_tf.__all__:
        part = getattr(amsl_tf, name)
        assert isinstance(part, Registry) if name.isupper() else part.__name__ == name
    with pytest.raises(AttributeError, match="has no attribute 'Detector'"):
        _ = amsl_tf.Detector
