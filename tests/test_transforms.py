"""The views against the original's formulas, scipy, and properties that must hold for any window."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.signal import savgol_filter

from amsl_tf import transforms
from amsl_tf.transforms import FACTORS, Draw, draw_for_scoring, draw_for_windows, make_views
from amsl_tf.views import VIEW_NAMES, VIEWS

SHAPE = (125, 45)


@pytest.fixture
def windows(rng):
    return rng.normal(2.0, 5.0, (6, *SHAPE)).astype(np.float32)


@pytest.fixture
def draw():
    return Draw(*(part.numpy() for part in draw_for_windows(1, 0, tf.range(6), SHAPE)))


def views_of(windows, draw, names=VIEW_NAMES):
    return make_views(tf.constant(windows), draw, names).numpy()


def test_every_view_has_a_transform_and_a_place(windows, draw):
    assert [view.suffix for view in VIEWS] == ["raw", "no", "ne", "op", "pe", "sc", "ti"]
    views = views_of(windows, draw)
    assert views.shape == (6, 7, *SHAPE)
    assert views.dtype == np.float32
    for index, name in enumerate(VIEW_NAMES):
        np.testing.assert_array_equal(views[:, index], views_of(windows, draw, [name])[:, 0])


def test_views_equal_the_originals_formulas(windows, draw):
    """The original works on one float64 window at a time; given the same draws the result is the same."""
    views = views_of(windows, draw)
    for window, noise, order, factor, made in zip(windows.astype(float), *draw, views, strict=True):
        pattern = noise - noise.mean()
        power = np.linalg.norm(window) ** 2 / window.size
        noisy = window + np.sqrt(power / 10 ** (5 / 10)) / pattern.std() * pattern
        segments = np.concatenate([window[25 * segment : 25 * segment + 25] for segment in order])
        smooth = np.stack([savgol_filter(channel, window_length=11, polyorder=2) for channel in window.T], axis=1)
        for index, expected in enumerate((window, noisy, -window, window[::-1], segments, factor * window, smooth)):
            np.testing.assert_allclose(made[index], expected, atol=1e-5)


def test_noise_is_at_exactly_5_db_and_has_no_mean(windows, draw):
    added = views_of(windows, draw, ["noise"])[:, 0].astype(float) - windows
    ratio = 10 * np.log10((windows.astype(float) ** 2).mean((1, 2)) / (added**2).mean((1, 2)))
    np.testing.assert_allclose(ratio, 5.0, atol=1e-4)
    np.testing.assert_allclose(added.mean((1, 2)), 0.0, atol=1e-6)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.integers(16, 60), st.integers(1, 4), st.data())
def test_properties_hold_for_any_window(steps, channels, data):
    values = st.floats(-(2.0**100), 2.0**100, width=32, allow_subnormal=False)
    window = data.draw(arrays(np.float32, (1, steps, channels), elements=values))
    order = np.array([data.draw(st.permutations(range(5)))], np.int32)
    factor = np.array([data.draw(st.sampled_from(FACTORS))], np.float32)
    noise = np.random.default_rng(0).normal(size=(1, steps, channels)).astype(np.float32)
    raw, noisy, negated, backwards, permuted, scaled, smoothed = views_of(window, Draw(noise, order, factor))[0]
    np.testing.assert_array_equal(raw, window[0])
    np.testing.assert_array_equal(negated, -window[0])
    np.testing.assert_array_equal(backwards, window[0, ::-1])
    np.testing.assert_allclose(scaled, window[0] * factor, atol=1e-37)  # the smallest numbers may become 0
    parts = np.array_split(window[0], 5)
    np.testing.assert_array_equal(permuted, np.concatenate([parts[segment] for segment in order[0]]))
    limit = 1e-5 * max(1.0, float(np.abs(window).max()))
    np.testing.assert_allclose(smoothed, savgol_filter(window[0].astype(float), 11, 2, axis=0), atol=limit)
    assert np.isfinite(noisy).all()


def test_draws_depend_on_seed_epoch_and_position_only():
    together = draw_for_windows(3, 2, tf.range(10), SHAPE)
    apart = draw_for_windows(3, tf.constant(2, tf.int64), tf.constant([7, 4], tf.int64), SHAPE)
    for part, some in zip(together, apart, strict=True):
        np.testing.assert_array_equal(tf.gather(part, [7, 4]), some)
    for other in (draw_for_windows(4, 2, tf.range(10), SHAPE), draw_for_windows(3, 1, tf.range(10), SHAPE)):
        assert not np.array_equal(together.noise, other.noise)


def test_draws_have_the_right_distribution():
    draw = draw_for_windows(0, 0, tf.range(2000), (16, 2))
    assert abs(float(tf.reduce_mean(draw.noise))) < 0.02
    assert abs(float(tf.math.reduce_std(draw.noise)) - 1) < 0.02
    assert np.all(np.sort(draw.order, axis=1) == np.arange(5))
    np.testing.assert_allclose(np.mean(draw.order, axis=0), 2.0, atol=0.15)
    values, counts = np.unique(draw.factor, return_counts=True)
    np.testing.assert_allclose(values, sorted(FACTORS))
    np.testing.assert_allclose(counts, 500, atol=80)


def test_scoring_gives_a_window_the_same_views_wherever_it_stands(windows):
    draw = draw_for_scoring(5, SHAPE)
    views = views_of(windows, draw)
    for index in range(len(windows)):
        np.testing.assert_array_equal(views_of(windows[index : index + 1], draw)[0], views[index])
    again = draw_for_scoring(5, SHAPE)
    for part, same in zip(draw, again, strict=True):
        np.testing.assert_array_equal(part, same)


def test_the_graph_computes_what_eager_mode_does(windows, draw):
    in_graph = tf.function(lambda x: make_views(x, draw, VIEW_NAMES))(windows)
    np.testing.assert_allclose(in_graph, views_of(windows, draw), atol=1e-5)


def test_a_window_of_zeros_stays_finite(draw):
    views = views_of(np.zeros((6, *SHAPE), np.float32), draw)
    np.testing.assert_array_equal(views, 0.0)


def test_module_has_no_transform_without_a_view():
    public = {
        name
        for name, item in vars(transforms).items()
        if callable(item) and getattr(item, "__module__", "") == transforms.__name__
    }
    public = {name for name in public if not name.startswith("_")}
    assert public == {*VIEW_NAMES, "Draw", "draw_for_windows", "draw_for_scoring", "make_views", "random_stream"}
