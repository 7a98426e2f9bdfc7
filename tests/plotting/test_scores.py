"""Figures of scores: the numbers they show and where."""

import numpy as np
import pytest

from amsl_tf.evaluation.metrics import flagged_by
from amsl_tf.plotting.scores import confusion, precision_recall, rates, roc, score_histogram
from amsl_tf.plotting.style import png
from tests.plotting.conftest import ABNORMAL, text_of


def test_confusion_shows_counts_and_shares_of_rows():
    figure = confusion(np.array([[90, 10], [5, 15]]), "title")
    for expected in ("90.0 %", "10.0 %", "25.0 %", "75.0 %", "90 windows", "15 windows"):
        assert expected in text_of(figure)


def test_histogram_and_threshold(scores):
    classes = {"normal": scores["one"][:50], "abnormal": scores["one"][50:]}
    axis = score_histogram(classes, 1.25, "title").axes[0]
    (line,) = (line for line in axis.lines if line.get_linestyle() == "--")
    assert list(line.get_xdata()) == [1.25, 1.25]
    edges = np.linspace(scores["one"].min(), scores["one"].max(), 61)
    for outline, values in zip(axis.patches, classes.values(), strict=True):
        assert outline.get_xy()[:, 1].max() == pytest.approx(2 * np.histogram(values, edges)[0].max())  # a window is 2 %


def test_histogram_is_logarithmic_for_scores_of_several_magnitudes(scores):
    values = np.geomspace(0.01, 100, 50)
    assert score_histogram({"normal": values}, 1.0, "title").axes[0].get_xscale() == "log"
    assert score_histogram({"normal": scores["one"]}, 1.0, "title").axes[0].get_xscale() == "linear"


def dot(figure):
    (mark,) = (line for line in figure.axes[0].lines if line.get_marker() == "o")
    return float(mark.get_xdata()[0]), float(mark.get_ydata()[0])


def test_dots_are_at_the_threshold():
    """Of four normal windows one is flagged, of two abnormal ones both: recall 1, false-positive rate 1/4, precision 2/3."""
    scores, abnormal = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), np.array([False] * 4 + [True] * 2)
    assert dot(roc({"one": scores}, abnormal, {"one": 4.0})) == pytest.approx((0.25, 1.0))
    assert dot(precision_recall({"one": scores}, abnormal, {"one": 4.0})) == pytest.approx((1.0, 2 / 3))
    assert dot(roc({"one": scores}, abnormal, {"one": 99.0})) == (0.0, 0.0)
    assert dot(precision_recall({"one": scores}, abnormal, {"one": 99.0})) == (0.0, 1.0)


def test_rates_are_the_flagged_shares(scores):
    flagged = flagged_by(np.tile(["p1", "p2"], 50), scores["one"], ABNORMAL, 1.0)
    figure = rates(flagged, "title")
    widths = [bar.get_width() for bar in figure.axes[0].patches]
    assert widths == pytest.approx([100 * counted["flagged"] for classes in flagged.values() for counted in classes.values()])


def test_long_labels_leave_room_for_the_bars():
    row = {"normal": {"windows": 2, "flagged": 0.5}}
    figure = rates({"x" * 200: row, "b": row}, "title")
    png(figure)
    assert figure.axes[0].get_position().width > 0.3
    assert "…, normal" in text_of(figure)
