"""Figures: what they say in words and places, colours that a page decides, nothing that a page must fetch."""

import numpy as np
import pytest
from matplotlib.text import Text

from amsl_tf import figures
from amsl_tf.evaluation import flagged_by

ABNORMAL = np.repeat([False, True], 50)


@pytest.fixture
def scores(rng):
    return {"one": rng.normal(2 * ABNORMAL), "other": rng.normal(0.5 * ABNORMAL)}


def words(figure):
    """Everything that is written on a figure."""
    texts = (text for axis in figure.axes for text in axis.findobj(Text))
    return " ".join(text.get_text() for text in texts)


def test_a_confusion_matrix_says_counts_and_shares_of_rows():
    figure = figures.confusion(np.array([[90, 10], [5, 15]]), "title")
    for said in ("90.0 %", "10.0 %", "25.0 %", "75.0 %", "90 windows", "15 windows"):
        assert said in words(figure)


def test_the_threshold_stands_where_it_is(scores):
    figure = figures.score_histogram({"normal": scores["one"][:50], "abnormal": scores["one"][50:]}, 1.25, "title")
    (line,) = (line for line in figure.axes[0].lines if line.get_linestyle() == "--")
    assert list(line.get_xdata()) == [1.25, 1.25]
    edges = np.linspace(scores["one"].min(), scores["one"].max(), 61)
    for outline, values in zip(figure.axes[0].patches, (scores["one"][:50], scores["one"][50:]), strict=True):
        assert outline.get_xy()[:, 1].max() == pytest.approx(2 * np.histogram(values, edges)[0].max())  # a window is 2 %


def dot(figure):
    (mark,) = (line for line in figure.axes[0].lines if line.get_marker() == "o")
    return float(mark.get_xdata()[0]), float(mark.get_ydata()[0])


def test_dots_are_what_the_threshold_does():
    """Of four normal windows one is flagged, of two abnormal ones both: found 1, false alarms 1/4, right 2/3."""
    scores, abnormal = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), np.array([False] * 4 + [True] * 2)
    assert dot(figures.roc({"one": scores}, abnormal, {"one": 4.0})) == pytest.approx((0.25, 1.0))
    assert dot(figures.precision_recall({"one": scores}, abnormal, {"one": 4.0})) == pytest.approx((1.0, 2 / 3))
    assert dot(figures.roc({"one": scores}, abnormal, {"one": 99.0})) == (0.0, 0.0)
    assert dot(figures.precision_recall({"one": scores}, abnormal, {"one": 99.0})) == (0.0, 1.0)


def test_rates_are_the_flagged_shares(scores):
    found = flagged_by(np.tile(["p1", "p2"], 50), scores["one"], ABNORMAL, 1.0)
    figure = figures.rates(found, "title")
    widths = [bar.get_width() for bar in figure.axes[0].patches]
    assert widths == pytest.approx([100 * counted["flagged"] for kinds in found.values() for counted in kinds.values()])


def test_a_mosaic_has_the_views_in_columns_and_is_brightest_where_the_error_is():
    views, made = np.zeros((2, 16, 3)), np.zeros((2, 16, 3))
    views[1, 4, 2] = 0.5
    image = figures.mosaic(views, made)
    tall, wide = 400 // 60 + 1, 700 // 14
    assert image.shape == (60 * tall, 14 * wide, 3)
    small = image[::tall, ::wide].astype(int).sum(axis=2)
    inside = small[42:58, 9:12]  # the error of the second view; that of the first is 0
    assert np.unravel_index(inside.argmax(), inside.shape) == (4, 2)
    assert (small[42:58, 2:5] == small[42, 2]).all()


def test_an_explanation_shows_the_worst_channels_and_the_nearest_window(rng):
    x, made, nearest = rng.normal(size=(3, 24, 4))
    shown = {
        "channels": {2: ("third", 2.5), 0: ("first", 1.5)},
        "time_error": np.ones(24),
        "view_error": {"raw": 1.5, "noise": 0.5},
    }
    figure = figures.explanation(x, made, nearest, **shown)
    lines = [line.get_ydata() for line in figure.axes[0].lines]
    for found, expected in zip(lines, (nearest, x, made), strict=True):
        np.testing.assert_array_equal(found, expected[:, 2])
    assert "third: 2.5 times the usual error" in words(figure)
    assert len(figures.explanation(x, made, None, **shown).axes[0].lines) == 2


def test_svg_takes_its_colours_from_the_page_and_asks_for_nothing(scores):
    text = figures.svg(figures.roc(scores, ABNORMAL, {"one": 0.5, "other": 0.5}), "roc")
    assert text.startswith("<svg")
    assert "var(--ink)" in text
    assert "var(--normal)" in text
    assert figures.INK not in text
    assert ">ROC</text>" in text
    assert "#000000" not in text
    assert 'id="figure_1"' not in text
    assert 'href="http' not in text
    assert text == figures.svg(figures.roc(scores, ABNORMAL, {"one": 0.5, "other": 0.5}), "roc")


def test_words_of_a_user_are_no_formulas():
    found = {"cost $\\foo$": {"normal": {"windows": 2, "flagged": 0.5}}}
    assert "cost $\\foo$, normal" in figures.svg(figures.rates(found, "title"), "rates")


def test_long_names_leave_room_for_the_bars():
    found = {"x" * 200: {"normal": {"windows": 2, "flagged": 0.5}}, "b": {"normal": {"windows": 2, "flagged": 0.5}}}
    figure = figures.rates(found, "title")
    figures.png(figure)
    assert figure.axes[0].get_position().width > 0.3
    assert "…, normal" in words(figure)


def test_files_are_png(scores):
    figure = figures.precision_recall(scores, ABNORMAL, {"one": 0.5, "other": 0.5})
    assert figures.png(figure).startswith(b"\x89PNG")
    image = figures.pixels(figure)
    assert image.dtype == np.uint8
    assert image.shape[2] == 3
    assert (image[0, 0] == 255).all()
