"""The study of over-generalisation: what is told apart, what is not run again, and that the page is what is generated."""

import json

import numpy as np
import pytest
from matplotlib.figure import Figure

from amsl_tf.config import DetectorConfig
from amsl_tf.errors import AMSLError
from benchmarks import overgeneralisation, overgeneralisation_page
from benchmarks.overgeneralisation import Task
from tests.conftest import ROOT


@pytest.fixture
def page(tmp_path):
    """The folder of a page with a place for the tables."""
    (tmp_path / "method.md").write_text(f"before\n{overgeneralisation_page.START}\n{overgeneralisation_page.END}\nafter\n")
    return tmp_path


def test_every_network_can_be_made():
    for network in overgeneralisation_page.NETWORKS.values():
        assert DetectorConfig.from_settings(**network.settings).model.views == ("raw",)


def test_each_digit_is_the_anomaly_once(tmp_path):
    tasks = list(overgeneralisation.digits(tmp_path))
    assert len(tasks) == 10
    assert sum(len(task.abnormal) for task in tasks) == 1797
    for task in tasks:
        assert len(task.train) + len(task.normal) + len(task.abnormal) == 1797
        assert len(task.train) == pytest.approx(0.6 * (1797 - len(task.abnormal)), abs=1)
        assert {part.shape[1:] for part in task} == {(16, 16)}
    np.testing.assert_array_equal(task.train[:, ::2, ::2], task.train[:, 1::2, 1::2])


def test_dsads_is_the_first_run_of_the_protocol_window(generated):
    (task,) = overgeneralisation.dsads(generated)
    assert [len(part) for part in task] == [30, 20, 15]


def test_what_is_finished_is_not_run_again(page, monkeypatch):
    calls = []
    monkeypatch.setitem(overgeneralisation.TASKS, "digits", lambda source: iter([0, 1]))
    monkeypatch.setattr(overgeneralisation, "measure", lambda task, *about: calls.append(about) or measured(0.5 + task))
    for _ in range(2):
        overgeneralisation.run(page, page / "results", ["digits"], page)
    assert len(calls) == 2 * 4 * len(overgeneralisation_page.NETWORKS)
    assert calls[0] == ("cae", 2, 20)
    text = (page / "method.md").read_text()
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert text.count("| **1.000** ± 0.707; 2.0000, 3.0000 ") == len(calls) / 2  # over both tasks
    assert "DSADS" not in text


def measured(auroc):
    return {"normal_error": 2.0, "abnormal_error": 3.0, "auroc": auroc}


def test_what_has_not_run_is_told(page):
    results = page / "results"
    results.mkdir()
    overgeneralisation_page.file(results, "dsads", "memae", 4).write_text(json.dumps({"tasks": [measured(0.75)]}))
    written, figure = overgeneralisation_page.write(results, page)
    assert "| MemAE | not run | **0.750**; 2.0000, 3.0000 | not run | not run |" in written.read_text()
    assert figure.read_bytes().startswith(b"\x89PNG")


def test_a_line_is_named_once(page, monkeypatch):
    legends, save = [], Figure.savefig
    monkeypatch.setattr(
        Figure, "savefig", lambda figure, *args, **more: legends.extend(figure.legends) or save(figure, *args, **more)
    )
    for data in ("digits", "dsads"):
        overgeneralisation_page.file(page, data, "memae", 4).write_text(json.dumps({"tasks": [measured(0.75)]}))
    overgeneralisation_page.write(page, page)
    (legend,) = legends
    titles = [network.title for network in overgeneralisation_page.NETWORKS.values()]
    assert [text.get_text() for text in legend.get_texts()] == titles


def test_what_is_wrong_is_told_before_anything_runs(page, monkeypatch):
    monkeypatch.setattr(overgeneralisation, "measure", lambda *_: pytest.fail("it ran"))
    with pytest.raises(AMSLError, match="not found"):
        overgeneralisation.run(page / "typo", page / "results", ["digits", "dsads"], page)
    with pytest.raises(AMSLError, match="typo"):
        overgeneralisation.run(page, page / "results", ["digits"], page / "typo")


def test_nothing_run_is_told(page):
    with pytest.raises(AMSLError, match="Run the study first"):
        overgeneralisation_page.write(page / "results", page)


def test_a_page_without_a_place_is_left_alone(page):
    (page / "method.md").write_text("nothing")
    (page / "results").mkdir()
    overgeneralisation_page.file(page / "results", "dsads", "cae", 4).write_text(json.dumps({"tasks": [measured(0.75)]}))
    with pytest.raises(AMSLError, match="Put them back"):
        overgeneralisation_page.write(page / "results", page)
    assert (page / "method.md").read_text() == "nothing"


def test_what_is_committed_is_what_is_generated(tmp_path):
    (tmp_path / "method.md").write_text((ROOT / "docs/method.md").read_text())
    overgeneralisation_page.write(ROOT / "benchmarks/results/overgeneralisation", tmp_path)
    assert (tmp_path / "method.md").read_text() == (ROOT / "docs/method.md").read_text()


def test_errors_and_auroc_of_a_network(waves):
    made = overgeneralisation.measure(Task(waves[:30], waves[30:], 5 * waves[:10]), "cae", 2, 1)
    assert made["auroc"] == 1.0
    assert 0 < made["normal_error"] < made["abnormal_error"]
