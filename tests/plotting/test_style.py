"""Rendering of figures as SVG, PNG and pixels."""

import numpy as np

from amsl_tf.plotting.scores import precision_recall, rates, roc
from amsl_tf.plotting.style import INK, MAX_NAME, pixels, png, shorten, svg
from tests.plotting.conftest import ABNORMAL

RATES = {"normal": {"windows": 2, "flagged": 0.5}}


def test_svg_uses_css_variables_and_is_self_contained(scores):
    text = svg(roc(scores, ABNORMAL, {"one": 0.5, "other": 0.5}), "roc")
    assert text.startswith("<svg")
    assert "var(--ink)" in text
    assert "var(--normal)" in text
    assert INK not in text
    assert ">ROC</text>" in text
    assert "#000000" not in text
    assert 'id="figure_1"' not in text
    assert 'href="http' not in text
    assert text == svg(roc(scores, ABNORMAL, {"one": 0.5, "other": 0.5}), "roc")


def test_labels_are_not_formulas():
    assert "cost $\\foo$, normal" in svg(rates({"cost $\\foo$": RATES}, "title"), "rates")


def test_shorten():
    assert shorten("x" * MAX_NAME) == "x" * MAX_NAME
    assert shorten("x" * (MAX_NAME + 1)) == "x" * (MAX_NAME - 1) + "…"
    assert shorten("a $ b") == r"a \$ b"


def test_png_and_pixels(scores):
    figure = precision_recall(scores, ABNORMAL, {"one": 0.5, "other": 0.5})
    assert png(figure).startswith(b"\x89PNG")
    image = pixels(figure, dpi=100)
    assert image.dtype == np.uint8
    assert image.shape == (300, 440, 3)
    assert (image[0, 0] == 255).all()
    assert (image != 255).any()
