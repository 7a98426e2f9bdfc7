"""Periods and proposed windows, of series whose period is known."""

import warnings

import numpy as np
import pytest

from amsl_tf.data.periods import autocorrelate, find_cycle, find_peaks, propose_steps

STEPS = np.arange(5000)


def waves(period, rng, noise=0.1, channels=2, count=5000):
    """Waves with a harmonic and noise, (count, channels)."""
    phase = 2 * np.pi * np.arange(count)[:, None] / period + np.arange(channels)
    return np.sin(phase) + 0.5 * np.sin(2 * phase) + rng.normal(0, noise, (count, channels))


def test_autocorrelation_is_that_of_numpy(rng):
    values = rng.normal(size=37) + 5
    centred = values - values.mean()
    np.testing.assert_allclose(autocorrelate(values), np.correlate(centred, centred, "full")[36:], atol=1e-12)


def test_peaks_by_hand():
    assert find_peaks(np.array([9, 1, 2, 1, 3, 3, 1, 5, 6])).tolist() == [2]


@pytest.mark.parametrize("period", [5, 12, 50, 333, 900])
def test_period_of_waves(period, rng):
    assert find_cycle(waves(period, rng)) == pytest.approx(period, abs=max(1, period // 100))


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
@pytest.mark.parametrize("offset", [0, 1000])
def test_period_does_not_depend_on_units(scale, offset, rng):
    x = scale * (offset + waves(50, rng))
    assert find_cycle(x) == find_cycle(x / scale) == pytest.approx(50, abs=1)


def test_period_without_missing_and_constant_channels(rng):
    x = np.column_stack([waves(50, rng), np.full(5000, 3.3), np.full(5000, np.nan)])
    x[rng.random(5000) < 0.2] = np.nan
    assert find_cycle(x) == pytest.approx(50, abs=1)


def test_drift_and_noise_have_no_period(rng):
    assert find_cycle(rng.normal(size=(5000, 3))) is None
    assert find_cycle(rng.normal(size=(5000, 1)).cumsum(axis=0)) is None
    assert find_cycle(np.linspace(0, 1, 5000)[:, None]) is None
    noisy = rng.normal(size=(5000, 1)).cumsum(axis=0) + rng.normal(0, 3, (5000, 1))  # peaks at all lags, without dips
    assert find_cycle(noisy) is None
    drift = waves(50, rng) + 5 * STEPS[:, None] / 5000  # a slow drift hides no period
    assert find_cycle(drift) == pytest.approx(50, abs=1)


@pytest.mark.parametrize(
    "x", [np.zeros((0, 2)), np.zeros((1, 2)), np.arange(8.0)[:, None], np.ones((100, 1)), np.full((100, 2), np.nan)]
)
def test_too_little_to_see(x):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert find_cycle(x) is None
        assert propose_steps(x)[0] == 16


def test_proposed_windows(rng):
    steps, reason = propose_steps(waves(50, rng))
    assert steps == pytest.approx(100, abs=2)
    assert reason == f"two periods of {steps // 2} rows"
    assert propose_steps(rng.normal(size=(5000, 2))) == (64, "no period was found")
    assert propose_steps(rng.normal(size=(400, 2))) == (40, "a tenth of the recording, as no period was found")
    assert propose_steps(waves(50, rng)[:600]) == (60, f"a tenth of the recording, as two periods of {50} rows")
    assert propose_steps(waves(5, rng))[0] == 16  # the least that a detector takes
