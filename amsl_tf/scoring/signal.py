"""What the sensors measure in a window, without any network: levels, spectrum, and which of them move together."""

import numpy as np
import tensorflow as tf

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
BANDS = 12  # of the spectrum, each wider than the one below it by the same factor; fewer where windows are short
PAIRED = 32  # sensors up to which every pair is compared
CORRELATION_LIMIT = 0.99  # larger ones count as this: the transform is infinite at 1
ROUNDING = 1e-5  # of a sensor's root mean square; what moves less counts as still, float32's rounding among it
TINY = 1e-60  # added to powers, for sensors that say nothing but 0


def describe_signal(windows: tf.Tensor, axes: int) -> tf.Tensor:
    """Features of raw windows, each of its window alone; moving a window's steps round in a circle changes nothing.

    A sensor with several axes is replaced by its norm, which does not depend on how the sensor is turned. Of each sensor: the
    `QUANTILES` of its values and the logarithms of the mean power in `BANDS` of frequencies. Of each pair of sensors, where
    there are at most `PAIRED`: Fisher's transform of their correlation, 0 where one of them stands still. A sensor whose values
    have an offset of 100,000 times what they move by counts as still: take the offset off first.

    Args:
        windows: float32 (B, T, C).
        axes: Consecutive channels that are the axes of one sensor; C is a multiple of it.

    Returns:
        float32 (B, D).
    """
    x = tf.cast(windows, tf.float64)  # squares of the largest values are finite
    steps, channels = windows.shape[1:]
    sensors = channels // axes
    if axes > 1:
        x = tf.norm(tf.reshape(x, (-1, steps, sensors, axes)), axis=3)
    moving = x - tf.reduce_mean(x, axis=1, keepdims=True)
    rounding = ROUNDING**2 * tf.reduce_mean(tf.square(x), axis=1) + TINY
    levels = tf.einsum("qt,bts->bqs", _quantile_weights(steps), tf.sort(x, axis=1))
    spectrum = tf.signal.rfft(tf.transpose(moving, (0, 2, 1)))[..., 1:]
    powers = tf.einsum("kf,bsf->bks", _band_weights(steps), tf.square(tf.abs(spectrum)) / steps**2)
    parts = [levels, tf.math.log(powers + rounding[:, None])]
    flat = [tf.reshape(part, (-1, part.shape[1] * sensors)) for part in parts]
    if 1 < sensors <= PAIRED:
        products = tf.einsum("bti,btj->bij", moving, moving) / steps
        variances = tf.linalg.diag_part(products)
        inverse = tf.where(variances > rounding, tf.math.rsqrt(variances + rounding), tf.zeros_like(variances))
        correlations = products * inverse[:, :, None] * inverse[:, None]
        first, second = np.triu_indices(sensors, 1)
        pairs = tf.gather(tf.reshape(correlations, (-1, sensors**2)), first * sensors + second, axis=1)
        flat.append(tf.atanh(tf.clip_by_value(pairs, -CORRELATION_LIMIT, CORRELATION_LIMIT)))
    return tf.cast(tf.concat(flat, axis=1), tf.float32)


def _quantile_weights(steps: int) -> np.ndarray:
    """(5, T): of sorted values, for quantiles between two of which are interpolated."""
    places = np.asarray(QUANTILES)[:, None] * (steps - 1)
    return np.maximum(1 - np.abs(places - np.arange(steps)), 0)


def _band_weights(steps: int) -> np.ndarray:
    """(K, T // 2): of the frequencies 1, 2, ..., T // 2 cycles a window, for the mean of each band; K at most `BANDS`."""
    edges = np.unique(np.round(np.geomspace(1, steps // 2 + 1, BANDS + 1)))
    frequencies = np.arange(1, steps // 2 + 1)
    inside = (frequencies >= edges[:-1, None]) & (frequencies < edges[1:, None])
    return inside / inside.sum(axis=1, keepdims=True)
