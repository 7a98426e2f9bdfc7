"""The programs of README.md and of the pages in docs run, and the tests that pages name exist."""

import re

import numpy as np
import pytest

from amsl_tf import AMSLDetector, DetectorConfig
from amsl_tf.data.store import TRAIN, write_index
from amsl_tf.views import VIEWS
from tests.conftest import ROOT, run_python

SETTINGS = {"epochs": 2, "seed": 0, "num_slots": 5, "batch_size": 4}
GPU = "docs/gpu.md"  # its program trains for 100 epochs on DSADS; it has a test of its own
BLOCK = re.compile(r"^```python(?P<info>[^\n]*)\n(?P<code>.*?)^```$", re.DOTALL | re.MULTILINE)


def blocks(page):
    """The blocks of a page that are to run: the code of each and the number of its first line."""
    text = (ROOT / page).read_text()
    found = [block for block in BLOCK.finditer(text) if "no-run" not in block["info"].split()]
    return [(block["code"], text.count("\n", 0, block.start("code")) + 1) for block in found]


def pages():
    """The pages with programs; all but README's take more than a few seconds."""
    names = ["README.md", *sorted(page.relative_to(ROOT).as_posix() for page in (ROOT / "docs").rglob("*.md"))]
    runnable = [name for name in names if name != GPU and blocks(name)]
    return [pytest.param(name, marks=() if name == "README.md" else pytest.mark.slow) for name in runnable]


def write_program(page, folder):
    """Writes the blocks of a page as one program, in which every line has the number that it has on the page.

    A block that begins with `# file: NAME` is that file instead.
    """
    lines = [""] * len((ROOT / page).read_text().splitlines())
    for code, start in blocks(page):
        file = re.match(r"# file: (\w+\.py)\n", code)
        if file:
            (folder / file[1]).write_text(code)
        else:
            for offset, line in enumerate(code.splitlines()):
                lines[start - 1 + offset] = line
    program = folder / (page.replace("/", "_").removesuffix(".md") + ".py")
    program.write_text("\n".join(lines) + "\n")
    return program


@pytest.mark.parametrize("page", pages())
def test_the_program_of_a_page_runs(page, tmp_path):
    program = write_program(page, tmp_path)
    finished = run_python("-c", f"import os, runpy; os.chdir({str(tmp_path)!r}); runpy.run_path({str(program)!r})")
    assert finished.returncode == 0, finished.stderr


def test_a_failing_block_is_reported_with_its_line_on_the_page(tmp_path, monkeypatch):
    kinds = {"python": "x = 1", "python no-run": "never()", "python ": "# file: part.py\ny = 2", "python  ": "x / 0"}
    page = "\n".join(f"Text\n\n```{info}\n{code}\n```\n" for info, code in kinds.items())
    (tmp_path / "page.md").write_text(page)
    monkeypatch.setattr(f"{__name__}.ROOT", tmp_path)
    program = write_program("page.md", tmp_path)
    assert (tmp_path / "part.py").read_text() == "# file: part.py\ny = 2\n"
    with pytest.raises(ZeroDivisionError) as raised:
        exec(compile(program.read_text(), program, "exec"), {})
    assert raised.traceback[-1].lineno + 1 == page.splitlines().index("x / 0") + 1


def test_pages_with_programs_are_found():
    expected = {"README.md", "docs/tutorial_python.md", "docs/extending.md", "docs/sklearn.md"}
    assert expected <= {page.values[0] for page in pages()}


def anchors(page):
    """The anchors of the headings of a page, as a code host makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "data/README.md", "saved_models/README.md"])
def test_relative_links_have_a_target(page):
    for link in re.findall(r"\]\(([^)\s:]+)\)", (ROOT / page).read_text()):
        path, _, anchor = link.partition("#")
        target = (ROOT / page).parent / path
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_the_tests_that_pages_name_exist():
    named = {name for page in (ROOT / "docs").glob("*.md") for name in re.findall(r"`(test_\w+)`", page.read_text())}
    there = {name for file in (ROOT / "tests").rglob("*.py") for name in re.findall(r"def (test_\w+)", file.read_text())}
    assert len(named) >= 10
    assert named <= there


@pytest.mark.slow
def test_a_network_is_trained_on_jax_without_tensorflow_and_its_weights_are_read(waves, tmp_path):
    views = {view.suffix: waves + np.float32(place) for place, view in enumerate(VIEWS.values())}
    for suffix, values in views.items():
        file = TRAIN.file(tmp_path, suffix)
        file.parent.mkdir(exist_ok=True)
        np.save(file, values)
    write_index(TRAIN.index(tmp_path), {"subject": np.full(len(waves), "p1")})
    ((program, _),) = blocks(GPU)
    for on_page, here in {
        "data/transform_dataset": str(tmp_path),
        '"network.weights.h5"': f'"{tmp_path}/network.weights.h5"',
        "epochs=100, seed=0": ", ".join(f"{name}={value}" for name, value in SETTINGS.items()),
    }.items():
        assert on_page in program
        program = program.replace(on_page, here)
    (tmp_path / "train_jax.py").write_text("import sys\nsys.modules['tensorflow'] = None\n" + program)
    finished = run_python(tmp_path / "train_jax.py", KERAS_BACKEND="jax")
    assert finished.returncode == 0, finished.stderr
    detector = AMSLDetector.from_config(DetectorConfig.from_settings(**SETTINGS))
    detector.fit(waves, weights=tmp_path / "network.weights.h5")
    assert np.isfinite(detector.decision_function(waves)).all()
