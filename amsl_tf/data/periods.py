"""Periods of recordings, by autocorrelation."""

import math

import numpy as np

from amsl_tf.data.windows import MIN_STEPS

MOST_ROWS = 20_000  # that are examined
SHORTEST, LONGEST = 4, 1000  # rows of a period
STRONG = 0.2  # the least rise of the autocorrelation, from its dip to the peak of a period
FIRST_PEAK = 0.8  # of the highest rise: the first peak as high is the period, later ones are multiples
CONSTANT = 1e-7  # the standard deviation relative to the largest value, up to which a channel is constant: rounding of float32
PERIODS = 2  # in a window
DEFAULT_STEPS = 64  # rows of a window of a recording without a period
LEAST_WINDOWS = 10  # without overlap, in a recording


def autocorrelate(values: np.ndarray) -> np.ndarray:
    """Computes the autocorrelation of a series at the lags 0, 1, ..., float64 (n,), by a Fourier transform; not normalised."""
    values = np.asarray(values, np.float64)
    values = values - values.mean()
    size = 2 ** math.ceil(math.log2(2 * len(values)))
    return np.fft.irfft(np.abs(np.fft.rfft(values, size)) ** 2, size)[: len(values)]


def find_peaks(values: np.ndarray) -> np.ndarray:
    """Returns the positions of the local maxima of a series (n,), int."""
    return np.flatnonzero((values[1:-1] > values[:-2]) & (values[1:-1] > values[2:])) + 1


def find_cycle(x: np.ndarray) -> int | None:
    """Finds the period that the channels of a recording share.

    The autocorrelations of the channels are averaged. The period is the first peak that rises from the dip before it nearly as
    much as any.

    Args:
        x: (rows, C); NaN where a value is missing.

    Returns:
        The period in rows, from 4 to 1000, or None if no peak rises by 0.2.
    """
    x = np.asarray(x[:MOST_ROWS], np.float64)
    lags = min(LONGEST + 2, len(x) // 2)
    if lags <= SHORTEST:
        return None
    correlations = []
    for values in x.T:
        is_number = np.isfinite(values)
        values = np.where(is_number, values, values[is_number].mean() if is_number.any() else 0.0)
        found = autocorrelate(values)
        if found[0] > CONSTANT**2 * len(values) * float(np.abs(values).max()) ** 2:
            correlations.append(found[:lags] / found[0])
    if not correlations:
        return None
    mean = np.mean(correlations, axis=0)
    peaks = find_peaks(mean)
    rise = mean - np.minimum.accumulate(mean)  # slow drifts correlate at all lags, and have no dip before a peak
    peaks = peaks[(peaks >= SHORTEST) & (peaks <= LONGEST) & (rise[peaks] >= STRONG)]
    return None if not len(peaks) else int(peaks[rise[peaks] >= FIRST_PEAK * rise[peaks].max()][0])


def propose_steps(x: np.ndarray) -> tuple[int, str]:
    """Proposes the length of windows for a recording (rows, C).

    Returns:
        The rows of a window, two periods or 64, but no more than a tenth of the recording and at least 16; and the reason.
    """
    cycle = find_cycle(x)
    steps = DEFAULT_STEPS if cycle is None else PERIODS * cycle
    reason = "no period was found" if cycle is None else f"two periods of {cycle} rows"
    most = max(MIN_STEPS, len(x) // LEAST_WINDOWS)
    if steps > most:
        steps, reason = most, f"a tenth of the recording, as {reason}"
    return max(MIN_STEPS, steps), reason
