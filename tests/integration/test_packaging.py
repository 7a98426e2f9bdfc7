"""The wheel: what it holds, and that README's examples run with it from an empty folder."""

import os
import re
import subprocess
import sys
import sysconfig
import venv
import zipfile

import numpy as np
import pandas as pd
import pytest

from amsl_tf import __version__
from amsl_tf.datasets.synthetic import write_tree
from tests.conftest import ROOT

pytestmark = pytest.mark.slow


def run(*command, **settings):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    finished = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, env=environment, **settings)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    run("git", "clone", "-q", ROOT, source)
    tracked = run("git", "ls-files", "-m", "-o", "--exclude-standard", cwd=ROOT).split("\n")
    for name in filter(None, tracked):  # what is not committed yet
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", folder, source)
    (file,) = folder.glob("*.whl")
    return file


@pytest.fixture(scope="module")
def environment(wheel, tmp_path_factory):
    """The programs of a fresh environment with the wheel, which takes its dependencies from this environment."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False, symlinks=True)
    programs = folder / ("Scripts" if os.name == "nt" else "bin")
    packages = run(programs / "python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    with open(
        f"{packages}/dependencies.pth", "w"
    ) as file:  # .pth files in that folder, as editable installs have, are not read
        file.write(sysconfig.get_path("purelib") + "\n")
    install = ("install", "-q", "--no-deps", "--no-index", "--force-reinstall", wheel)
    run(sys.executable, "-m", "pip", "--python", programs / "python", *install)
    return programs


def test_the_wheel_holds_the_package_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} == {"amsl_tf", f"amsl_tf-{__version__}.dist-info"}
    tracked = {name for name in run("git", "ls-files", "amsl_tf", cwd=ROOT).split() if (ROOT / name).exists()}
    assert tracked <= set(names)
    assert {"amsl_tf/py.typed", "amsl_tf/evaluation/report/report.html.jinja"} <= set(names)


def test_the_package_comes_from_the_wheel(environment, tmp_path):
    found = run(environment / "python", "-c", "import amsl_tf; print(amsl_tf.__file__)", cwd=tmp_path).strip()
    assert found.startswith(str(environment.parent))
    assert run(environment / "amsl", "--version", cwd=tmp_path) == f"amsl_tf {__version__}\n"


def test_the_python_example_of_the_readme(environment, tmp_path):
    (program,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    run(environment / "python", "-c", program, cwd=tmp_path)
    assert [item.name for item in tmp_path.iterdir()] == ["saved_models"]


def write_recording(file, seed):
    """Writes a recording of two channels, with a row a second."""
    times = pd.date_range("2024-01-01", periods=600, freq="s", name="time")
    values = np.random.default_rng(seed).normal(size=(600, 2))
    pd.DataFrame(values, times, ["flow", "pressure"]).to_csv(file)


def test_the_commands_of_the_readme(environment, tmp_path):
    """On synthetic data, trained for one epoch."""
    own, stages = (
        [line.partition("#")[0].split() for line in block.splitlines()]
        for block in re.findall(r"```\n(amsl .*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    )
    assert [words[1] for words in own] == ["fit", "score", "report"]
    (tmp_path / "normal").mkdir()
    for seed, file in enumerate(("normal/0.csv", "normal/1.csv", "normal/2.csv", "today.csv")):
        write_recording(tmp_path / file, seed)
    for words in own:
        run(environment / words[0], *words[1:], cwd=tmp_path)
    assert (tmp_path / "report.html").exists()
    assert "start" in pd.read_csv(tmp_path / "events.csv")

    write_tree(tmp_path / "data/DASADS", subjects=1, segments=2)
    rows = np.random.default_rng(0).normal(size=(300, 45))
    assert [words[1] for words in stages] == ["preprocess", "transform", "train", "evaluate", "score"]
    for words in stages:
        if words[1] == "score":
            channels = pd.read_json(tmp_path / "saved_models/amsl/config.json")["config"]["channel_names"]
            pd.DataFrame(rows, columns=channels).to_csv(tmp_path / "recording.csv", index=False)
        words = ["1" if word == "8" else word for word in words]
        run(environment / words[0], *words[1:], cwd=tmp_path)
    assert (tmp_path / "results/report.html").exists()
    assert len(pd.read_csv(tmp_path / "scores.csv")) == 2
