"""The health of channels: a decision of its own beside the score."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from amsl_tf.data.channel_states import DEAD, HEALTHY, MISSING, SATURATED, STUCK
from amsl_tf.data.windows import LARGEST, chunks

OUTLIERS = 0.001  # the share of the training windows that does not affect the limits
ROUNDING = 2.0**-22  # of the usual largest value: smaller differences are rounding errors of float32


@dataclass
class ChannelHealth:
    """The states of channels, by comparison with normal windows.

    A channel is stuck if a run of equal steps is longer than a quarter of the window and more than twice as long as any in the
    training windows, and dead if so many steps are 0. It is saturated if more than a quarter of the steps have the largest or
    the smallest value of the window, where at most an eighth did in training. It is missing if a value is NaN, infinite or
    beyond `LARGEST`.

    One in 1,000 training windows is ignored for each limit. So a channel that was at rest for half a window is never stuck, one
    with few levels is never saturated, and one that was constant in training can only be missing.

    Attributes:
        tolerance: float32 (C,), the largest difference of values that count as equal.
        longest_run: int32 (C,), the largest number of consecutive equal steps that is not stuck; T where none is.
        most_extreme: int32 (C,), the largest number of steps at one extreme that is not saturated; T where none is.
    """

    tolerance: np.ndarray
    longest_run: np.ndarray
    most_extreme: np.ndarray

    @classmethod
    def fit(cls, windows: np.ndarray) -> "ChannelHealth":
        """Fits the limits to normal windows.

        Args:
            windows: float32 (N, T, C), finite; may be memory-mapped.
        """
        largest = np.concatenate([np.abs(part).max(axis=1) for _, part in chunks(windows)])
        tolerance = (ROUNDING * np.median(largest, axis=0)).astype(np.float32)  # a constant must be one at any level
        steps, rank = windows.shape[1], len(windows) - 1 - int(OUTLIERS * len(windows))

        def usual(count: Callable[[tf.Tensor, np.ndarray], tf.Tensor]) -> np.ndarray:
            counts = [count(tf.convert_to_tensor(part), tolerance).numpy() for _, part in chunks(windows)]
            return np.partition(np.concatenate(counts), rank, axis=0)[rank]

        longest_run = np.clip(2 * usual(_count_run), steps // 4, steps)
        most_extreme = np.where(usual(_count_extreme) <= steps // 8, steps // 4, steps)
        return cls(tolerance, longest_run.astype(np.int32), most_extreme.astype(np.int32))

    def __call__(self, windows: tf.Tensor) -> tf.Tensor:
        """Computes the states of the channels of windows (B, T, C) with any values: positions in `STATES`, int32 (B, C)."""
        states = tf.where(_count_extreme(windows, self.tolerance) > self.most_extreme, SATURATED, HEALTHY)
        is_dead = _count(tf.abs(windows) <= self.tolerance) > self.longest_run
        is_still = _count_run(windows, self.tolerance) > self.longest_run
        states = tf.where(is_still, tf.where(is_dead, DEAD, STUCK), states)
        is_usable = tf.reduce_all(tf.abs(windows) <= LARGEST, axis=1)  # False for NaN
        return tf.where(is_usable, states, MISSING)


def _count_run(x: tf.Tensor, tolerance: tf.Tensor) -> tf.Tensor:
    """Counts the steps of the longest run of equal steps in windows (B, T, C): int32 (B, C), at least 1."""
    steps = x.shape[1]
    places = tf.range(1, steps)[:, None]
    last = tf.where(tf.abs(x[:, 1:] - x[:, :-1]) > tolerance, places, 0)
    shift = 1
    while shift < steps - 1:  # the place of the last change so far: a cumulative maximum, by doubling
        last = tf.maximum(last, tf.pad(last[:, :-shift], ((0, 0), (shift, 0), (0, 0))))
        shift *= 2
    return tf.reduce_max(places - last, axis=1) + 1


def _count_extreme(x: tf.Tensor, tolerance: tf.Tensor) -> tf.Tensor:
    """Counts the steps at the largest or at the smallest value of windows (B, T, C), whichever are more: int32 (B, C)."""
    at_top = tf.reduce_max(x, axis=1, keepdims=True) - x <= tolerance
    at_bottom = x - tf.reduce_min(x, axis=1, keepdims=True) <= tolerance
    return tf.maximum(_count(at_top), _count(at_bottom))


def _count(is_true: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(tf.cast(is_true, tf.int32), axis=1)
