"""What each view does to a window: TensorFlow operations, each a pure function of the windows and of a draw.

One implementation serves the transformation script, the training pipeline and the scoring of a detector. A function here bears
the name of its view in `amsl_tf.views` and maps float32 windows (B, T, C) to the view (B, T, C).
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from scipy.signal import savgol_coeffs, savgol_filter

SNR_DB = 5.0
SEGMENTS = 5
FACTORS = (0.5, 2.0, 1.5, 0.8)
SMOOTHING_WINDOW, SMOOTHING_ORDER = 11, 2
PURPOSES = ("training draws", "scoring draw", "order of windows")


class Draw(NamedTuple):
    """The random part of the views, for B windows or, with B = 1, the same for all windows.

    Attributes:
        noise: float32 (B, T, C), a pattern of any scale; the noise view fits it to the window's power.
        order: int32 (B, 5), a permutation of the segments.
        factor: float32 (B,), one of `FACTORS`.
    """

    noise: tf.Tensor
    order: tf.Tensor
    factor: tf.Tensor


@tf.autograph.experimental.do_not_convert  # nothing to convert, and looking for it takes longer than thousands of windows
def draw_for_windows(seed: int, epoch: tf.Tensor | int, positions: tf.Tensor, shape: tuple[int, int]) -> Draw:
    """The draws of some windows in training, each a function of (seed, epoch, position of the window) only.

    Args:
        seed: Of the training.
        epoch: Counted from 0; views that are made once use 0.
        positions: int (B,), where the windows stand in their array.
        shape: (T, C) of the windows.
    """
    # the types are part of the seed: 7 as int32 folds to another one than 7 as int64
    stream = tf.random.fold_in(random_stream(seed, "training draws"), tf.cast(epoch, tf.int32))
    return tf.map_fn(
        lambda position: _draw(tf.random.fold_in(stream, position), shape),
        tf.cast(positions, tf.int64),
        fn_output_signature=Draw(tf.float32, tf.int32, tf.float32),
    )


def draw_for_scoring(seed: int, shape: tuple[int, int]) -> Draw:
    """The one draw that a detector scores every window with: a Draw of arrays with B = 1."""
    return Draw(*(part.numpy()[None] for part in _draw(random_stream(seed, "scoring draw"), shape)))


@tf.autograph.experimental.do_not_convert
def make_views(windows: tf.Tensor, draw: Draw, names: Iterable[str]) -> tf.Tensor:
    """The views of some windows.

    Args:
        windows: float32 (B, T, C).
        draw: For B windows, or one for all.
        names: Of the views, R of `amsl_tf.views.VIEW_NAMES`.

    Returns:
        float32 (B, R, T, C).
    """
    return tf.stack([globals()[name](windows, draw) for name in names], axis=1)


def raw(windows: tf.Tensor, draw: Draw) -> tf.Tensor:
    """The window itself."""
    return windows


def noise(windows: tf.Tensor, draw: Draw) -> tf.Tensor:
    """Adds zero-mean noise at a signal-to-noise ratio of exactly 5 dB over the whole window."""
    pattern = draw.noise - tf.reduce_mean(draw.noise, axis=(1, 2), keepdims=True)
    pattern /= tf.math.reduce_std(pattern, axis=(1, 2), keepdims=True)
    largest = tf.reduce_max(tf.abs(windows), axis=(1, 2), keepdims=True)  # squares of what is divided by it cannot overflow
    root_power = largest * tf.sqrt(tf.reduce_mean(tf.math.divide_no_nan(windows, largest) ** 2, axis=(1, 2), keepdims=True))
    return windows + 10.0 ** (-SNR_DB / 20.0) * root_power * pattern


def negated(windows: tf.Tensor, draw: Draw) -> tf.Tensor:
    """The sign changed."""
    return -windows


def reversed(windows: tf.Tensor, draw: Draw) -> tf.Tensor:  # noqa: A001 (the view's name)
    """Time reversed."""
    return tf.reverse(windows, [1])  # a slice with a negative step takes nine times as long


def permuted(windows: tf.Tensor, draw: Draw) -> tf.Tensor:
    """Five segments in another order; their lengths are those of `np.array_split` where 5 does not divide T."""
    steps = windows.shape[1]
    segment_of_step = np.repeat(np.arange(SEGMENTS), [len(part) for part in np.array_split(np.arange(steps), SEGMENTS)])
    place_of_segment = tf.argsort(draw.order, axis=1)  # the inverse of the permutation
    rows = tf.argsort(tf.gather(place_of_segment, segment_of_step, axis=1), axis=1, stable=True)
    return tf.gather(windows, tf.broadcast_to(rows, (tf.shape(windows)[0], steps)), batch_dims=1)


def scaled(windows: tf.Tensor, draw: Draw) -> tf.Tensor:
    """Multiplied by one of 0.5, 2, 1.5 and 0.8."""
    return windows * draw.factor[:, None, None]


def smoothed(windows: tf.Tensor, draw: Draw) -> tf.Tensor:
    """Each channel after a Savitzky-Golay filter (11 steps, order 2); the edges come from the first and last polynomial."""
    half = SMOOTHING_WINDOW // 2
    edges = savgol_filter(np.eye(SMOOTHING_WINDOW), SMOOTHING_WINDOW, SMOOTHING_ORDER, axis=0).astype(np.float32)
    weights = savgol_coeffs(SMOOTHING_WINDOW, SMOOTHING_ORDER).astype(np.float32)
    inner = windows.shape[1] - 2 * half
    return tf.concat(
        [
            tf.einsum("es,bsc->bec", edges[:half], windows[:, :SMOOTHING_WINDOW]),
            tf.add_n([weight * windows[:, step : step + inner] for step, weight in enumerate(weights)]),
            tf.einsum("es,bsc->bec", edges[-half:], windows[:, -SMOOTHING_WINDOW:]),
        ],
        axis=1,
    )


def random_stream(seed: int, purpose: str) -> tf.Tensor:
    """The seed of a stream of random numbers; the streams of the `PURPOSES` have nothing in common."""
    return tf.random.fold_in(tf.constant([seed, 0]), PURPOSES.index(purpose))


def _draw(stream: tf.Tensor, shape: tuple[int, int]) -> Draw:
    """The draw of one window, without the leading axis."""
    seeds = tf.unstack(tf.random.split(stream, 3))
    return Draw(
        noise=tf.random.stateless_normal(shape, seeds[0]),
        order=tf.argsort(tf.random.stateless_uniform((SEGMENTS,), seeds[1])),
        factor=tf.gather(tf.constant(FACTORS), tf.random.stateless_uniform((), seeds[2], maxval=len(FACTORS), dtype=tf.int32)),
    )
