"""The feature `signal`: levels, spectra and correlations of the sensors, without any network."""

import numpy as np
import tensorflow as tf

from amsl_tf.scoring.attribution import ALL_SENSORS, in_turn
from amsl_tf.scoring.features import FeatureInputs

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
BANDS = 12  # frequency bands, spaced geometrically; fewer for short windows
MAX_PAIRED = 32  # the largest number of sensors whose correlations are features
CORRELATION_LIMIT = 0.99  # correlations are clipped: the z-transform is infinite at 1
ROUNDING = 1e-5  # of the root mean square of a sensor: less variation, such as rounding in float32, counts as none
TINY = 1e-60  # added to powers, for sensors that are always 0


def signal_features(inputs: FeatureInputs) -> tf.Tensor:
    """Computes `describe_signal` of the raw windows, float32 (B, D)."""
    return describe_signal(inputs.windows, inputs.axes)


def describe_signal(windows: tf.Tensor, axes: int) -> tf.Tensor:
    """Computes features of raw windows that are invariant to circular shifts in time.

    A sensor with several axes is replaced by its norm, which does not depend on its orientation. For each sensor: the
    `QUANTILES` of its values and the logarithms of the mean power in `BANDS` frequency bands. For each pair of sensors, if
    there are at most `MAX_PAIRED`: Fisher's z-transform of their correlation, 0 where one of them is constant. A sensor whose
    offset is more than 100,000 times its variation counts as constant: remove the offset first.

    Args:
        windows: float32 (B, T, C), in their own units; frequencies are in cycles per window.
        axes: The number of consecutive channels that are the axes of one sensor; C is a multiple of it.

    Returns:
        float32 (B, D), for S = C / axes sensors and K bands, 5 S quantiles, K S logarithms of power, and S (S - 1) / 2
        correlations.
    """
    x = tf.cast(windows, tf.float64)  # the squares of the largest values are finite in float64
    steps, channels = windows.shape[1:]
    sensors = channels // axes
    if axes > 1:
        x = tf.norm(tf.reshape(x, (-1, steps, sensors, axes)), axis=3)
    moving = x - tf.reduce_mean(x, axis=1, keepdims=True)
    rounding = ROUNDING**2 * tf.reduce_mean(tf.square(x), axis=1) + TINY
    parts = [quantiles(x), tf.math.log(band_powers(x) + rounding[:, None])]
    flat = [tf.reshape(part, (-1, part.shape[1] * sensors)) for part in parts]
    if 1 < sensors <= MAX_PAIRED:
        products = tf.einsum("bti,btj->bij", moving, moving) / steps
        variances = tf.linalg.diag_part(products)
        inverse = tf.where(variances > rounding, tf.math.rsqrt(variances + rounding), tf.zeros_like(variances))
        correlations = products * inverse[:, :, None] * inverse[:, None]
        first, second = np.triu_indices(sensors, 1)
        pairs = tf.gather(tf.reshape(correlations, (-1, sensors**2)), first * sensors + second, axis=1)
        flat.append(tf.atanh(tf.clip_by_value(pairs, -CORRELATION_LIMIT, CORRELATION_LIMIT)))
    return tf.cast(tf.concat(flat, axis=1), tf.float32)


def sensors_of(columns: int, sensors: int) -> np.ndarray:
    """Returns the sensor of each feature of `describe_signal`, int32 (D,); `ALL_SENSORS` for correlations."""
    pairs = sensors * (sensors - 1) // 2 if 1 < sensors <= MAX_PAIRED else 0
    alone = in_turn(columns - pairs, sensors)
    return np.concatenate([alone, np.full(pairs, ALL_SENSORS, np.int32)])


def quantiles(x: tf.Tensor) -> tf.Tensor:
    """Computes the `QUANTILES` of each sensor over time, linearly interpolated: (B, T, S) to (B, 5, S)."""
    weights = tf.constant(_quantile_weights(x.shape[1]), x.dtype)
    return tf.einsum("qt,bts->bqs", weights, tf.sort(x, axis=1))


def band_powers(x: tf.Tensor) -> tf.Tensor:
    """Computes the mean power of each sensor in K frequency bands, without the constant part: (B, T, S) to (B, K, S)."""
    steps = x.shape[1]
    moving = x - tf.reduce_mean(x, axis=1, keepdims=True)
    spectrum = tf.signal.rfft(tf.transpose(moving, (0, 2, 1)))[..., 1:]
    weights = tf.constant(_band_weights(steps), x.dtype)
    return tf.einsum("kf,bsf->bks", weights, tf.square(tf.abs(spectrum)) / steps**2)


def filter_band(x: tf.Tensor, band: int) -> tf.Tensor:
    """Filters each sensor by one of the frequency bands of `band_powers`, float32 (B, T, S)."""
    steps = x.shape[1]
    weights = np.append(0, np.sqrt(_band_weights(steps)[band]))  # without the constant part
    spectrum = tf.signal.rfft(tf.transpose(x, (0, 2, 1))) * tf.constant(weights, tf.complex64)
    return tf.transpose(tf.signal.irfft(spectrum, [steps]), (0, 2, 1))


def _quantile_weights(steps: int) -> np.ndarray:
    """Returns the weights (5, T) of sorted values for linearly interpolated quantiles."""
    places = np.asarray(QUANTILES)[:, None] * (steps - 1)
    return np.maximum(1 - np.abs(places - np.arange(steps)), 0)


def _band_weights(steps: int) -> np.ndarray:
    """Returns the weights (K, T // 2) of 1, 2, ..., T // 2 cycles per window for the mean of each band, K <= `BANDS`."""
    edges = np.unique(np.round(np.geomspace(1, steps // 2 + 1, BANDS + 1)))
    frequencies = np.arange(1, steps // 2 + 1)
    inside = (frequencies >= edges[:-1, None]) & (frequencies < edges[1:, None])
    return inside / inside.sum(axis=1, keepdims=True)
