"""Views against the formulas of the original and SciPy, and properties that hold for any window."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.signal import savgol_filter

from amsl_tf.views import PAPER_VIEWS, VIEWS
from amsl_tf.views.operations import draw_for_scoring, draw_for_windows, make_views
from amsl_tf.views.scaled import FACTORS

SHAPE = (125, 45)


@pytest.fixture
def windows(rng):
    return rng.normal(2.0, 5.0, (6, *SHAPE)).astype(np.float32)


@pytest.fixture
def draws():
    draws = draw_for_windows(1, 0, tf.range(6), SHAPE, PAPER_VIEWS)
    return {name: values.numpy() for name, values in draws.items()}


def views_of(windows, draws, names=PAPER_VIEWS):
    return make_views(tf.constant(windows), draws, names).numpy()


def test_views_are_stacked_in_order(windows, draws):
    assert [view.suffix for view in VIEWS.values()] == ["raw", "no", "ne", "op", "pe", "sc", "ti"]
    views = views_of(windows, draws)
    assert views.shape == (6, 7, *SHAPE)
    assert views.dtype == np.float32
    for index, name in enumerate(PAPER_VIEWS):
        np.testing.assert_array_equal(views[:, index], views_of(windows, draws, [name])[:, 0])


def test_views_against_the_formulas_of_the_original(windows, draws):
    """The original computes single windows in float64; equal draws give equal views."""
    views = views_of(windows, draws)
    for window, noise, order, factor, found in zip(windows.astype(float), *draws.values(), views, strict=True):
        pattern = noise - noise.mean()
        power = np.linalg.norm(window) ** 2 / window.size
        noisy = window + np.sqrt(power / 10 ** (5 / 10)) / pattern.std() * pattern
        segments = np.concatenate([window[25 * segment : 25 * segment + 25] for segment in order])
        smooth = np.stack([savgol_filter(channel, window_length=11, polyorder=2) for channel in window.T], axis=1)
        for index, expected in enumerate((window, noisy, -window, window[::-1], segments, factor * window, smooth)):
            np.testing.assert_allclose(found[index], expected, atol=1e-5)


def test_noise_has_a_ratio_of_5_db_and_zero_mean(windows, draws):
    added = views_of(windows, draws, ["noise"])[:, 0].astype(float) - windows
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
    draws = {"noise": noise, "permuted": order, "scaled": factor}
    raw, noisy, negated, time_reversed, permuted, scaled, smoothed = views_of(window, draws)[0]
    np.testing.assert_array_equal(raw, window[0])
    np.testing.assert_array_equal(negated, -window[0])
    np.testing.assert_array_equal(time_reversed, window[0, ::-1])
    np.testing.assert_allclose(scaled, window[0] * factor, atol=1e-37)  # subnormal products may become 0
    parts = np.array_split(window[0], 5)
    np.testing.assert_array_equal(permuted, np.concatenate([parts[segment] for segment in order[0]]))
    limit = 1e-5 * max(1.0, float(np.abs(window).max()))
    np.testing.assert_allclose(smoothed, savgol_filter(window[0].astype(float), 11, 2, axis=0), atol=limit)
    assert np.isfinite(noisy).all()


def test_draws_depend_on_seed_epoch_and_position_only():
    together = draw_for_windows(3, 2, tf.range(10), SHAPE, PAPER_VIEWS)
    subset = draw_for_windows(3, tf.constant(2, tf.int64), tf.constant([7, 4], tf.int64), SHAPE, PAPER_VIEWS)
    assert together.keys() == subset.keys() == {"noise", "permuted", "scaled"}
    for name, values in together.items():
        np.testing.assert_array_equal(tf.gather(values, [7, 4]), subset[name])
    for seed, epoch in ((4, 2), (3, 1)):
        other = draw_for_windows(seed, epoch, tf.range(10), SHAPE, PAPER_VIEWS)
        assert not np.array_equal(together["noise"], other["noise"])


def test_draws_of_a_view_do_not_depend_on_other_views():
    every = draw_for_windows(3, 2, tf.range(4), SHAPE, PAPER_VIEWS)
    some = draw_for_windows(3, 2, tf.range(4), SHAPE, ["raw", "scaled"])
    assert list(some) == ["scaled"]
    np.testing.assert_array_equal(some["scaled"], every["scaled"])
    assert draw_for_windows(3, 2, tf.range(4), SHAPE, ["raw", "smoothed"]) == {}


def test_distribution_of_draws():
    draws = draw_for_windows(0, 0, tf.range(2000), (16, 2), PAPER_VIEWS)
    assert abs(float(tf.reduce_mean(draws["noise"]))) < 0.02
    assert abs(float(tf.math.reduce_std(draws["noise"])) - 1) < 0.02
    assert np.all(np.sort(draws["permuted"], axis=1) == np.arange(5))
    np.testing.assert_allclose(np.mean(draws["permuted"], axis=0), 2.0, atol=0.15)
    values, counts = np.unique(draws["scaled"], return_counts=True)
    np.testing.assert_allclose(values, sorted(FACTORS))
    np.testing.assert_allclose(counts, 500, atol=80)


def test_scoring_gives_a_window_the_same_views_at_any_position(windows):
    draws = draw_for_scoring(5, SHAPE, PAPER_VIEWS)
    views = views_of(windows, draws)
    for index in range(len(windows)):
        np.testing.assert_array_equal(views_of(windows[index : index + 1], draws)[0], views[index])
    repeated = draw_for_scoring(5, SHAPE, PAPER_VIEWS)
    for name, values in draws.items():
        np.testing.assert_array_equal(values, repeated[name])


def test_graph_and_eager_mode_agree(windows, draws):
    in_graph = tf.function(lambda x: make_views(x, draws, PAPER_VIEWS))(windows)
    np.testing.assert_allclose(in_graph, views_of(windows, draws), atol=1e-5)


def test_views_of_zeros_are_zeros(draws):
    views = views_of(np.zeros((6, *SHAPE), np.float32), draws)
    np.testing.assert_array_equal(views, 0.0)
