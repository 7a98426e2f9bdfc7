"""report.html: a self-contained page with the values of metrics.json, also if the data are missing."""

import re
import shutil

import matplotlib
import numpy as np
import pytest

from amsl_tf.data.store import TEST_ABNORMAL
from amsl_tf.errors import DataError
from amsl_tf.evaluation.report import write_report
from amsl_tf.evaluation.report.page import _rate_figures
from amsl_tf.evaluation.report.windows import explain_windows, open_training
from amsl_tf.evaluation.results import evaluate_results
from amsl_tf.persistence import read_summary
from tests.conftest import make_detector


def report_of(folder):
    metrics = evaluate_results(folder / "results", read_summary(folder / "detector"))
    return metrics, write_report(folder / "results", folder / "detector", metrics).read_text()


@pytest.fixture(scope="module")
def page(evaluated):
    return report_of(evaluated)


def test_page_has_the_metrics(page, evaluated):
    metrics, text = page
    for values in metrics["scores"].values():
        for measure in ("f1", "auroc", "threshold"):
            assert f"{values[measure]:.4f}" in text
    decided = metrics["scores"]["nearest_normal"]
    assert f"{100 * decided['recall_abnormal']:.1f} %" in text
    assert f"{100 * (1 - decided['recall_normal']):.1f} %" in text
    summary = read_summary(evaluated / "detector")
    for expected in (summary.data["sha256"], summary.data["fingerprint"], "unseen in training (p1, p2)", "num_slots"):
        assert expected in text


def test_every_figure_is_on_the_page_and_in_a_file(page, evaluated):
    _, text = page
    names = re.findall(r'<figure id="(\w+)"', text)
    assert len(names) == len(set(names)) == text.count("<svg")
    assert {file.stem for file in (evaluated / "results/figures").iterdir()} == set(names)
    assert {"scores_nearest_normal", "roc", "precision_recall", "by_activity", "by_subject", "view_errors"} <= set(names)
    assert {"false_alarms_1", "misses_1", "losses"} <= set(names)


def test_page_is_self_contained_without_scripts(page):
    _, text = page
    assert not re.findall(r"""(?:src|href)=["'](?!#|data:)""", text)
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)" in text


def test_internal_links_have_targets(page):
    _, text = page
    targets = set(re.findall(r"""href=["']#([^"']+)""", text)) | set(re.findall(r"url\(#([^)]+)\)", text))
    assert {"scores", "errors", "reproduction"} <= targets
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert targets <= set(ids)
    assert len(ids) == len(set(ids))


@pytest.mark.slow
def test_second_report_replaces_figures_only(page, evaluated, tmp_path):
    shutil.copytree(evaluated, tmp_path / "second")
    figures = tmp_path / "second/results/figures"
    (figures / "misses_1.png").rename(figures / "false_alarms_3.png")
    (figures / "mine.png").touch()
    report_of(tmp_path / "second")
    names = {file.name for file in figures.iterdir()}
    assert names == {file.name for file in (evaluated / "results/figures").iterdir()} | {"mine.png"}


@pytest.mark.slow
def test_changed_test_windows_are_not_shown(page, evaluated, tmp_path):
    """Reversed, every window exists and none is the scored one; of a single window the others are missing."""
    file = TEST_ABNORMAL.file(evaluated / "data", "raw")
    for change in (lambda x: x[::-1], lambda x: x[:1], lambda x: x[:, :20], lambda x: np.full_like(x, np.nan)):
        shutil.copytree(evaluated, tmp_path / "copy", dirs_exist_ok=True)
        np.save(tmp_path / "copy" / file.relative_to(evaluated), change(np.load(file)))
        run = (evaluated / "results/run.json").read_text()
        (tmp_path / "copy/results/run.json").write_text(run.replace(str(evaluated / "data"), str(tmp_path / "copy/data")))
        _, text = report_of(tmp_path / "copy")
        assert "The windows cannot be shown" in text


def test_report_without_the_data(evaluated, tmp_path):
    shutil.copytree(evaluated, tmp_path / "copy")
    results = tmp_path / "copy/results"
    run = (results / "run.json").read_text()
    (results / "run.json").write_text(run.replace(str(evaluated / "data"), str(tmp_path / "gone")))
    _, text = report_of(tmp_path / "copy")
    assert "The windows cannot be shown" in text
    assert "gone" in text
    assert 'id="roc"' in text


def test_report_of_normal_windows_alone(evaluated, tmp_path):
    shutil.copytree(evaluated, tmp_path / "copy")
    results = tmp_path / "copy/results"
    for file in results.glob("abnormal_*.csv"):
        file.unlink()
    rows = (results / "index.csv").read_text().splitlines(keepends=True)
    (results / "index.csv").write_text("".join(row for row in rows if not row.startswith("abnormal,")))
    metrics, text = report_of(tmp_path / "copy")
    names = set(re.findall(r'<figure id="(\w+)"', text))
    assert names >= {"scores_nearest_normal", "scores_reconstruction", "by_activity", "by_subject", "view_errors"}
    assert names.isdisjoint({"roc", "precision_recall", "confusion_nearest_normal", "misses_1"})
    assert {file.stem for file in (results / "figures").iterdir()} == names
    assert "All test windows are normal" in text
    assert f"{100 * metrics['scores']['nearest_normal']['false_positive_rate']:.1f} %" in text
    for absent in ("AUROC", "F1", "recall (true", "Misses", ">nan"):
        assert absent not in text


def test_other_training_windows_are_an_error(detector, waves, tmp_path):
    np.save(tmp_path / "same.npy", waves)
    np.save(tmp_path / "other.npy", waves + 1)
    assert open_training(tmp_path / "same.npy", detector).shape == waves.shape
    for name in ("other.npy", "typo.npy"):
        with pytest.raises(DataError, match=rf"{name}: .*Name the normal windows that the detector was trained on"):
            open_training(tmp_path / name, detector)


def test_changed_channel_is_the_worst_and_training_window_is_its_own_nearest(detector, waves):
    changed = waves[5:7].copy()
    changed[1, :, 1] += 20
    first, second = explain_windows(detector, changed, waves)
    assert second.worst == ["x", "y", "z"]  # the axes of one sensor
    assert first.nearest == 5
    assert " of " in second.figure.axes[0].get_title(loc="left")


def legend_of(figure):
    """Returns the texts of the legend of a figure."""
    (legend,) = figure.legends
    return [text.get_text() for text in legend.get_texts()]


@pytest.mark.slow
def test_windows_with_missing_values_have_no_reconstruction(waves):
    detector = make_detector(score="reconstruction", epochs=1, num_slots=8).fit(waves)
    windows = waves[:3].copy()
    windows[1, 4, 2] = np.nan
    curves = ["this window", "reconstruction", "this window"]
    explained = explain_windows(detector, windows, None)
    found = [[text for text in legend_of(each.figure) if text in curves] for each in explained]
    assert found == [curves[:2], curves[:1], curves[:2]]
    np.testing.assert_array_equal(
        explained[2].figure.axes[0].lines[1].get_ydata(),
        detector.reconstruct(windows[2:]).reconstruction[0, 0, :, int(explained[2].worst[0].removeprefix("channel "))],
    )
    assert "channel 2 (missing)" in explained[1].figure.axes[0].get_title(loc="left")
    (alone,) = explain_windows(detector, windows[1:2], None)
    assert "reconstruction" not in legend_of(alone.figure)


def test_without_training_windows_the_normal_range_is_shown(detector, waves):
    (without,), (beside,) = (explain_windows(detector, waves[5:6], training) for training in (None, waves))
    assert legend_of(without.figure) == ["normal range", "this window"]
    assert legend_of(beside.figure) == ["nearest normal window", "this window"]
    for name, axis in zip(without.worst, without.figure.axes, strict=False):
        (band,) = [patch for patch in axis.patches if isinstance(patch, matplotlib.patches.Rectangle)]
        expected = detector.normal_range_[:, "xyz".index(name)]
        assert [band.get_y(), band.get_y() + band.get_height()] == pytest.approx(expected)


def test_unknown_labels_and_many_labels():
    rates = {"normal": {"windows": 2, "flagged": 0.5}}
    many = {f"p{number}": rates for number in range(60)} | {"worst": {"normal": {"windows": 2, "flagged": 1.0}}}
    values = {"by_activity": {"": rates}, "by_subject": many}
    (figure,) = _rate_figures({"scores": {"nearest_normal": values}}, "nearest_normal")
    assert figure.name == "by_subject"
    assert "The 40 of 61" in figure.caption
    assert "worst, normal" in [label.get_text() for label in figure.figure.axes[0].get_yticklabels()]
