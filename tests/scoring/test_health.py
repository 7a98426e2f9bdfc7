"""The states of channels against values worked out by hand."""

from itertools import groupby

import numpy as np
import pytest
import tensorflow as tf

from amsl_tf.data.channel_states import DEAD, HEALTHY, MISSING, SATURATED, STATES, STUCK
from amsl_tf.scoring.health import ChannelHealth

T = 16  # a quarter is 4 steps, an eighth 2


@pytest.fixture
def moving(rng):
    """Normal windows of 3 channels that differ from step to step."""
    return rng.normal(size=(50, T, 3)).astype(np.float32)


def states(health, windows):
    return health(tf.constant(windows, tf.float32)).numpy()


def waves(*values, at=0):
    """Returns a window (1, 16, 1) of different values from .1 to 1.6, with these values at consecutive steps."""
    window = np.array([9, 2, 12, 4, 15, 1, 11, 6, 16, 3, 10, 5, 14, 7, 13, 8], np.float32)[None, :, None] / 10
    window[0, at : at + len(values), 0] = values
    return window


def test_the_names_of_the_states():
    assert [STATES[code] for code in (HEALTHY, DEAD, STUCK, SATURATED, MISSING)] == list(STATES)


def test_the_limits_of_channels_that_always_move(moving):
    health = ChannelHealth.fit(moving)
    np.testing.assert_array_equal(health.longest_run, [4, 4, 4])
    np.testing.assert_array_equal(health.most_extreme, [4, 4, 4])
    np.testing.assert_allclose(health.tolerance, np.median(np.abs(moving).max(axis=1), axis=0) / 2**22)


@pytest.mark.parametrize(
    ("window", "state"),
    [
        (waves(), HEALTHY),
        (waves(*[0.75] * 4, at=3), HEALTHY),
        (waves(*[0.75] * 5, at=3), STUCK),
        (waves(*[0.75] * 5, at=11), STUCK),
        (waves(*[0.75] * 16), STUCK),
        (waves(*[1e30] * 16), STUCK),
        (waves(0.75, 0.75, 0.75, 0.8, 0.75, 0.75, 0.75), HEALTHY),
        (waves(*[0] * 4), HEALTHY),
        (waves(*[0] * 5), DEAD),
        (waves(*[0] * 16), DEAD),
        (waves(*[0, 0.5] * 8), SATURATED),
        (waves(*[5, 1] * 4), HEALTHY),  # four times 5
        (waves(*[5, 1] * 5), SATURATED),
        (waves(*[5, 1] * 5, at=6), SATURATED),
        (-waves(*[5, 1] * 5), SATURATED),
        (waves(*[0.75, 1] * 5), HEALTHY),  # between the largest and the smallest value
        (np.minimum(waves(), 1.1), SATURATED),  # 6 of 16 steps, at most 2 of them consecutive
        (np.minimum(waves(), 1.3), HEALTHY),  # 4 of 16 steps
        (np.maximum(waves(), 0.5), SATURATED),  # 5 of 16 steps
        (waves(np.nan, at=15), MISSING),
        (waves(np.inf), MISSING),
        (waves(-1.01e30, at=7), MISSING),
        (waves(*[np.nan] * 16), MISSING),
        (waves(1e30, -1e30), HEALTHY),
    ],
)
def test_by_hand(window, state):
    health = ChannelHealth.fit(np.concatenate([waves(), waves()[:, ::-1]]))
    assert states(health, window).tolist() == [[state]]


def test_the_other_channels_of_a_window_are_judged(moving):
    windows = moving[:2].copy()
    windows[0, 3, 0], windows[0, 8:, 1] = np.nan, windows[0, 8, 1]
    expected = [[MISSING, STUCK, HEALTHY], [HEALTHY, HEALTHY, HEALTHY]]
    result = ChannelHealth.fit(moving)(tf.constant(windows))
    assert result.dtype == tf.int32
    np.testing.assert_array_equal(result, expected)


def faulty(moving):
    """Returns a window of each state but `missing` for 3 channels, and the states."""
    lowest = np.quantile(moving[0], 0.35, axis=0).astype(np.float32)
    windows = np.stack([moving[0], np.zeros_like(moving[0]), moving[0], np.maximum(moving[0], lowest)])
    windows[2, 5:] = windows[2, 5]
    return windows, np.repeat([[HEALTHY], [DEAD], [STUCK], [SATURATED]], 3, axis=1)


@pytest.mark.parametrize("unit", [1e-20, 1e-6, 1.0, 1000 / 3, 1e20])
def test_states_do_not_depend_on_the_unit(unit, moving):
    windows, expected = faulty(moving)
    health = ChannelHealth.fit((moving * unit).astype(np.float32))
    np.testing.assert_array_equal(states(health, (windows * unit).astype(np.float32)), expected)


@pytest.mark.parametrize(("deviation", "offset"), [(1.0, 300.0), (20.0, 1e6), (0.001, -50.0)])
def test_states_do_not_depend_on_the_offset(deviation, offset, moving):
    """But for zeros."""
    windows, expected = faulty(moving)
    health = ChannelHealth.fit((deviation * moving + offset).astype(np.float32))
    shifted = (deviation * windows.astype(np.float64) + offset).astype(np.float32)
    np.testing.assert_array_equal(states(health, shifted), np.where(expected == DEAD, STUCK, expected))


def test_rounding_errors_are_no_movement(moving, rng):
    window = np.full((1, T, 3), 700.0, np.float32) * (1 + rng.choice([-6e-8, 0, 6e-8], (1, T, 3))).astype(np.float32)
    assert len(np.unique(window)) > 1
    np.testing.assert_array_equal(states(ChannelHealth.fit(moving + 700), window), [[STUCK] * 3])


def test_rounding_errors_of_zeros(moving, rng):
    window = (1e-8 * rng.normal(size=(1, T, 3))).astype(np.float32)
    np.testing.assert_array_equal(states(ChannelHealth.fit(moving), window), [[DEAD] * 3])


def test_channels_that_were_constant_can_only_be_missing(moving, rng):
    windows, _ = faulty(moving)
    constant = np.tile(np.array([0, -7, 0.1], np.float32), (50, T, 1))
    constant[:, :, 2] *= 1 + rng.choice([0, 6e-8], (50, T))  # with rounding errors
    health = ChannelHealth.fit(constant)
    for new in (windows, np.ones_like(windows), windows + 100):
        np.testing.assert_array_equal(states(health, new), np.full((4, 3), HEALTHY))
    windows[:, 0, 1] = np.nan
    np.testing.assert_array_equal(states(health, windows), [[HEALTHY, MISSING, HEALTHY]] * 4)


def test_a_run_of_more_than_twice_those_in_training_is_stuck():
    training = np.tile(np.repeat(np.arange(16, dtype=np.float32), 3), (10, 1))[:, :, None]  # 48 steps, runs of 3
    training[0, :7] = 30.0  # a run of 7, twice of which is more than a quarter of the window
    health = ChannelHealth.fit(training)
    assert health.longest_run == 14
    window = training[1:2].copy()
    window[0, 20:34] = 3.5
    assert states(health, window) == HEALTHY
    window[0, 20:35] = 3.5
    assert states(health, window) == STUCK


def test_a_channel_with_few_levels_is_never_saturated(rng):
    """A third of the steps are at each level; a run of 5 in training allows 10."""
    training = rng.permuted(np.tile(np.arange(15) % 3, (50, 1)), axis=1)
    training = np.concatenate([training, training[:, :1]], axis=1).astype(np.float32)[:, :, None]
    training[0, :5], training[0, 5:] = 0, training[0, 5:] + 1
    health = ChannelHealth.fit(training)
    assert health.most_extreme == T
    assert states(health, np.minimum(training, 1)).max() != SATURATED


@pytest.mark.parametrize("level", [0.0, 1.0])
def test_switches_and_sensors_at_rest_are_healthy(level, moving):
    """The first channel switches once in a window, and the second is at rest in some windows."""
    training = moving.copy()
    training[:, :, 0] = np.arange(T) >= np.arange(50)[:, None] % T
    training[::10, :, 1] = 0
    health = ChannelHealth.fit(training)
    np.testing.assert_array_equal(states(health, training), np.zeros((50, 3)))
    expected = [[HEALTHY, HEALTHY, STUCK if level else DEAD]]
    np.testing.assert_array_equal(states(health, np.full((1, T, 3), level)), expected)


@pytest.mark.parametrize(("ignored", "expected"), [(1, DEAD), (2, HEALTHY)])
def test_one_training_window_in_a_thousand_is_ignored(ignored, expected, rng):
    training = rng.normal(size=(1000, T, 1)).astype(np.float32)
    training[:ignored] = 0
    assert states(ChannelHealth.fit(training), np.zeros((1, T, 1))) == expected


def test_an_outlier_does_not_hide_a_fault(moving):
    windows, expected = faulty(moving)
    training = moving.copy()
    training[3, 10] = 1e20
    np.testing.assert_array_equal(states(ChannelHealth.fit(training), windows), expected)


@pytest.mark.parametrize("steps", [16, 17, 33, 125])
def test_against_plain_python(steps, rng):
    """Of random walks with few steps of other sizes than 0."""
    training = rng.integers(-1, 2, (30, steps, 4)).cumsum(axis=1).astype(np.float32)
    windows = (rng.integers(-1, 2, (60, steps, 4)) * (rng.random((60, steps, 4)) < 0.3)).cumsum(axis=1).astype(np.float32)

    def longest(values):
        return max(len(list(run)) for _, run in groupby(values))

    def extreme(values):
        return max((values == values.max()).sum(), (values == values.min()).sum())

    health, codes = ChannelHealth.fit(training), set()
    for channel in range(4):
        normal = training[:, :, channel]
        run = min(max(2 * max(map(longest, normal)), steps // 4), steps)
        top = steps // 4 if max(map(extreme, normal)) <= steps // 8 else steps
        for window, state in zip(windows[:, :, channel], states(health, windows)[:, channel], strict=True):
            expected = SATURATED if extreme(window) > top else HEALTHY
            if longest(window) > run:
                expected = DEAD if (window == 0).sum() > run else STUCK
            assert state == expected
            codes.add(int(state))
    assert len(codes) > 1


def test_windows_are_judged_alone(moving):
    windows, expected = faulty(moving)
    windows[0, 2, 1] = np.nan
    health, together = ChannelHealth.fit(moving), states(ChannelHealth.fit(moving), np.concatenate([windows, moving]))
    alone = np.concatenate([states(health, window[None]) for window in windows])
    np.testing.assert_array_equal(alone, together[: len(windows)])
    np.testing.assert_array_equal(together[1 : len(windows)], expected[1:])
    assert states(health, windows[:0]).shape == (0, 3)


def test_memory_mapped_windows(moving, tmp_path):
    np.save(tmp_path / "x.npy", np.tile(moving, (7, 1, 1)))  # more than a chunk
    mapped, expected = ChannelHealth.fit(np.load(tmp_path / "x.npy", mmap_mode="r")), ChannelHealth.fit(moving)
    for name in ("tolerance", "longest_run", "most_extreme"):
        np.testing.assert_array_equal(getattr(mapped, name), getattr(expected, name))


def test_saved_model(moving, tmp_path):
    """With attributes as variables, as in an exported model."""
    windows, expected = faulty(moving)
    windows[0, 2, 1], expected[0, 1] = np.nan, MISSING
    health = ChannelHealth.fit(moving)
    module = tf.Module()
    module.parts = [tf.Variable(value) for value in (health.tolerance, health.longest_run, health.most_extreme)]
    restored = ChannelHealth(*module.parts)
    signature = [tf.TensorSpec((None, T, 3), tf.float32)]
    module.health = tf.function(lambda x: restored(x), input_signature=signature, autograph=False)
    tf.saved_model.save(module, str(tmp_path / "model"))
    loaded = tf.saved_model.load(str(tmp_path / "model"))
    np.testing.assert_array_equal(loaded.health(tf.constant(windows)), expected)
