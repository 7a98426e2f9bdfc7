"""Figures of windows: errors by view, mosaics and explanations."""

import numpy as np
import pytest

from amsl_tf.plotting.windows import by_view, explanation, mosaic
from tests.plotting.conftest import text_of


def test_by_view_shows_medians_and_quartiles():
    """Errors 1 to 5 and their multiples by ten: the median is 3, the quartiles are 2 and 4."""
    normal = np.arange(1.0, 6.0)[:, None] * [1, 10]
    axis = by_view({"normal": normal, "abnormal": 100 * normal}, ["raw", "noise"]).axes[0]
    for container, factor in zip(axis.containers, (1, 100), strict=True):
        medians, _, (bars,) = container
        assert medians.get_ydata() == pytest.approx([3 * factor, 30 * factor])
        low, high = np.transpose([segment[:, 1] for segment in bars.get_segments()])
        assert low == pytest.approx([2 * factor, 20 * factor])
        assert high == pytest.approx([4 * factor, 40 * factor])
    assert [label.get_text() for label in axis.get_xticklabels()] == ["raw", "noise"]
    assert len(by_view({"normal": normal}, ["raw", "noise"]).axes[0].containers) == 1


def test_mosaic_has_views_in_columns_and_the_error_below():
    views, reconstruction = np.zeros((2, 16, 3)), np.zeros((2, 16, 3))
    views[1, 4, 2] = 0.5
    image = mosaic(views, reconstruction)
    tall, wide = 400 // 60 + 1, 700 // 14
    assert image.shape == (60 * tall, 14 * wide, 3)
    brightness = image[::tall, ::wide].astype(int).sum(axis=2)
    error = brightness[42:58, 9:12]  # of the second view; that of the first is 0
    assert np.unravel_index(error.argmax(), error.shape) == (4, 2)
    assert (brightness[42:58, 2:5] == brightness[42, 2]).all()


def test_explanation_shows_contributions_and_the_nearest_window(rng):
    x, reconstruction, nearest = rng.normal(size=(3, 24, 4))
    settings = {
        "channels": {2: ("third", 2.5), 0: ("first", 1.5)},
        "time": np.linspace(-0.5, 1, 24),
        "members": {"levels": 4.5, "powers": -0.5},
    }
    figure = explanation(x, nearest, **settings, reconstruction=reconstruction)
    lines = [line.get_ydata() for line in figure.axes[0].lines]
    for values, expected in zip(lines, (nearest, x, reconstruction), strict=True):
        np.testing.assert_array_equal(values, expected[:, 2])
    assert "third: 2.5 of 4" in text_of(figure)
    assert [bar.get_width() for bar in figure.axes[3].patches] == [4.5, -0.5]
    assert len(explanation(x, None, **settings).axes[0].lines) == 1


def test_explanation_shows_the_normal_range_if_the_nearest_window_is_unknown(rng):
    x, limits = rng.normal(size=(24, 4)), np.stack([-1 - np.arange(4), 1 + np.arange(4)])
    settings = {"channels": {2: ("third", 1.0)}, "time": np.zeros(24), "members": {"levels": 1.0}, "normal_range": limits}
    (band,) = explanation(x, None, **settings).axes[0].patches
    assert (band.get_y(), band.get_height(), band.get_label()) == (-3, 6, "normal range")
    assert not explanation(x, x, **settings).axes[0].patches
