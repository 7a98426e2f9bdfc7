"""The over-generalisation study: its tasks, stored results that are not repeated, and the tables."""

import json

import numpy as np
import pytest
from matplotlib.figure import Figure

from amsl_tf.config import DetectorConfig
from amsl_tf.errors import AMSLError
from benchmarks import overgeneralisation, overgeneralisation_page
from benchmarks.overgeneralisation import Task
from tests.benchmarks.conftest import table_rows, write_page
from tests.conftest import ROOT


@pytest.fixture
def page(tmp_path):
    """Returns the folder of a page with an empty section for the tables."""
    write_page(tmp_path / overgeneralisation_page.PAGE, overgeneralisation_page.SECTION)
    return tmp_path


def test_settings_of_every_network_are_valid():
    for network in overgeneralisation_page.NETWORKS.values():
        assert DetectorConfig.from_settings(**network.settings).network.views == ("raw",)


def test_each_digit_is_the_anomaly_once(tmp_path):
    tasks = list(overgeneralisation.digits(tmp_path))
    assert len(tasks) == 10
    assert sum(len(task.abnormal) for task in tasks) == 1797
    for task in tasks:
        assert len(task.train) + len(task.normal) + len(task.abnormal) == 1797
        assert len(task.train) == pytest.approx(0.6 * (1797 - len(task.abnormal)), abs=1)
        assert {part.shape[1:] for part in task} == {(16, 16)}
    np.testing.assert_array_equal(task.train[:, ::2, ::2], task.train[:, 1::2, 1::2])


def test_dsads_is_the_first_run_of_protocol_window(generated):
    (task,) = overgeneralisation.dsads(generated)
    assert [len(part) for part in task] == [30, 20, 15]


def test_finished_results_are_not_repeated(page, monkeypatch):
    calls = []
    monkeypatch.setitem(overgeneralisation.TASKS, "digits", lambda source: iter([0, 1]))
    monkeypatch.setattr(overgeneralisation, "measure", lambda task, *settings: calls.append(settings) or measured(0.5 + task))
    for _ in range(2):
        overgeneralisation.run(page, page / "results", ["digits"], page)
    assert len(calls) == 2 * 4 * len(overgeneralisation_page.NETWORKS)
    assert calls[0] == ("cae", 2, 20)
    text = (page / "method.md").read_text()
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert text.count("| **1.000** ± 0.707; 2.0000, 3.0000 ") == len(calls) / 2  # the mean over both tasks
    assert "DSADS" not in text


def measured(auroc):
    return {"normal_error": 2.0, "abnormal_error": 3.0, "auroc": auroc}


def test_missing_results_are_marked(page):
    results = page / "results"
    results.mkdir()
    overgeneralisation_page.result_file(results, "dsads", "memae", 4).write_text(json.dumps({"tasks": [measured(0.75)]}))
    written, figure = overgeneralisation_page.write(results, page)
    assert ["MemAE", "not run", "**0.750**; 2.0000, 3.0000", "not run", "not run"] in table_rows(written.read_text())
    assert figure.read_bytes().startswith(b"\x89PNG")


def test_legend_is_drawn_once(page, monkeypatch):
    legends, save = [], Figure.savefig
    monkeypatch.setattr(
        Figure, "savefig", lambda figure, *args, **more: legends.extend(figure.legends) or save(figure, *args, **more)
    )
    for data in ("digits", "dsads"):
        overgeneralisation_page.result_file(page, data, "memae", 4).write_text(json.dumps({"tasks": [measured(0.75)]}))
    overgeneralisation_page.write(page, page)
    (legend,) = legends
    titles = [network.title for network in overgeneralisation_page.NETWORKS.values()]
    assert [text.get_text() for text in legend.get_texts()] == titles


def test_errors_come_before_anything_runs(page, monkeypatch):
    monkeypatch.setattr(overgeneralisation, "measure", lambda *_: pytest.fail("a network was trained"))
    with pytest.raises(AMSLError, match="not found"):
        overgeneralisation.run(page / "typo", page / "results", ["digits", "dsads"], page)
    with pytest.raises(AMSLError, match="typo"):
        overgeneralisation.run(page, page / "results", ["digits"], page / "typo")


def test_no_result_is_an_error(page):
    with pytest.raises(AMSLError, match="Run the study first"):
        overgeneralisation_page.write(page / "results", page)


def test_page_without_the_section_is_unchanged(page):
    (page / "method.md").write_text("nothing")
    (page / "results").mkdir()
    overgeneralisation_page.result_file(page / "results", "dsads", "cae", 4).write_text(json.dumps({"tasks": [measured(0.75)]}))
    with pytest.raises(AMSLError, match="expected the marker lines"):
        overgeneralisation_page.write(page / "results", page)
    assert (page / "method.md").read_text() == "nothing"


def test_committed_tables_are_up_to_date(tmp_path):
    (tmp_path / "method.md").write_text((ROOT / "docs/method.md").read_text())
    overgeneralisation_page.write(ROOT / "benchmarks/results/overgeneralisation", tmp_path)
    assert (tmp_path / "method.md").read_text() == (ROOT / "docs/method.md").read_text()


def test_measured_errors_and_auroc(waves):
    measured = overgeneralisation.measure(Task(waves[:30], waves[30:], 5 * waves[:10]), "cae", 2, 1)
    assert measured["auroc"] == 1.0
    assert 0 < measured["normal_error"] < measured["abnormal_error"]
