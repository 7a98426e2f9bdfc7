"""A bank of normal windows, and distances to it relative to the distances within it."""

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from amsl_tf.data.windows import chunks
from amsl_tf.scoring.members.coreset import k_centres

log = logging.getLogger(__name__)

NEAREST_GROUPS = 2  # the groups that a distance is averaged over: normal behaviour occurs in more than one of them
NEIGHBOURS = 5  # k of the k-NN distance, the local density of the training windows at a bank window
DENSITY_SHARE = 0.5  # the share of the scale of a distance that the bank window accounts for; that of a new window is unknown
MIN_WEIGHT = 1e-3  # of a feature group; if no group follows the density, all have this weight
FLOOR_SHARE = 0.01  # of the median distance: the floor of distances, as exact duplicates have distance 0
FLOOR_PER_COLUMN = 1e-4  # in standard deviations: the distance below which float32 cannot separate windows
CLOSE = 0.05  # of the distance to the fifth neighbour: a nearest neighbour that is closer looks like a copy
MAX_COPIES = 0.25  # share of the training windows that may look like copies without a warning
CONSTANT_BELOW = 1e-6  # of the mean: standard deviations below this share are rounding errors of float32


@dataclass
class Bank:
    """A bank of training windows in the space of one feature group.

    Attributes:
        mean, scale: float64 (D,), the standardisation of the features, column weights included.
        windows: float32 (M, D), standardised features.
        groups: int (M,), the index of the group of each window, in rising order; all 0 without groups.
        floor: The smallest distance, below which windows count as equal.
        offsets: float64 (M,), subtracted from the logarithm of a distance to each window; 0 with groups.
        log_mean, log_scale: The standardisation of the logarithm of relative distances, by those of the training windows.
        weight: The weight of this feature group, above 0.
        rows: int (M,), the positions of the windows among all training windows.
    """

    mean: np.ndarray
    scale: np.ndarray
    windows: np.ndarray
    groups: np.ndarray
    floor: np.ndarray
    offsets: np.ndarray
    log_mean: np.ndarray
    log_scale: np.ndarray
    weight: np.ndarray
    rows: np.ndarray

    def score(self, features: tf.Tensor) -> tf.Tensor:
        """Computes the standardised scores of windows, float64 (N,).

        Args:
            features: float64 (N, D).
        """
        squares = self._squares(features)
        return (_relative(squares, self.groups, self.floor, self.offsets) - self.log_mean) / self.log_scale

    def nearest(self, features: tf.Tensor) -> tf.Tensor:
        """Returns the training position of the relatively nearest bank window, int64 (N,).

        Args:
            features: float64 (N, D).
        """
        return tf.cast(tf.gather(self.rows, self._nearest(features)), tf.int64)

    def parts(self, features: tf.Tensor) -> tf.Tensor:
        """Computes the parts of each feature in the squared distance to the relatively nearest bank window, float64 (N, D).

        Args:
            features: float64 (N, D).
        """
        nearest = tf.gather(tf.convert_to_tensor(self.windows), self._nearest(features))
        return tf.square((features - self.mean) / self.scale - tf.cast(nearest, tf.float64))

    def _nearest(self, features: tf.Tensor) -> tf.Tensor:
        logs = tf.math.log(tf.maximum(self._squares(features), self.floor**2)) / 2 - self.offsets
        return tf.argmin(logs, axis=1)

    def _squares(self, features: tf.Tensor) -> tf.Tensor:
        return _squared_distances((features - self.mean) / self.scale, self.windows)


class FittedBank(NamedTuple):
    """The result of `fit_bank`.

    Attributes:
        bank: The bank.
        scores: The leave-one-out scores of all windows (N,).
        copies: The share of the bank windows that look like copies of others, from 0 to 1.
    """

    bank: Bank
    scores: np.ndarray
    copies: float


def fit_bank(
    features: np.ndarray, groups: np.ndarray, size: int, seed: int, duplicate_ids: np.ndarray | None = None
) -> FittedBank:
    """Fits a bank to normal windows.

    The local density comes from all training windows: the windows that `k_centres` selects are about equally far from each
    other, so their mutual distances carry no information about it.

    Args:
        features: float64 (N, D).
        groups: int (N,), numbered from 0; all 0 without groups.
        size: The maximum number of bank windows, but at least one of each group.
        seed: The seed of the selection.
        duplicate_ids: int (N,), equal for duplicates; if None, there are none.

    Returns:
        The bank and the leave-one-out scores. Only the comparison leaves out a window, those equal to it and, with
        groups, its whole group; standardisation and density come from all windows.
    """
    duplicate_ids = np.arange(len(features)) if duplicate_ids is None else duplicate_ids
    left_out = np.stack([groups, duplicate_ids]) if groups.any() else duplicate_ids[None]
    mean = features.mean(axis=0)
    scale = _safe(features.std(axis=0), mean)
    scale = scale * _column_scale((features - mean) / scale, left_out, size, seed)
    scaled = ((features - mean) / scale).astype(np.float32)
    chosen = _choose(scaled, groups, size, seed)
    windows = scaled[chosen]

    distances, nearest = _nearest(_leave_one_out(scaled, chosen, left_out))
    floor = np.asarray(max(FLOOR_SHARE * np.median(distances), FLOOR_PER_COLUMN * np.sqrt(features.shape[1])))
    neighbours = _neighbours(scaled, chosen, duplicate_ids)
    density = np.log(np.maximum(neighbours, floor**2)).mean(axis=0) / 2
    slope = _slope(density[nearest], np.log(np.maximum(distances, floor)))
    # the density of the bank does not carry over to the windows of new groups
    offsets = np.zeros_like(density) if groups.any() else DENSITY_SHARE * slope * density
    parts = _leave_one_out(scaled, chosen, left_out)
    own = np.concatenate([_relative(squares, groups[chosen], floor, offsets).numpy() for squares in parts])
    log_mean, log_scale = own.mean(), _safe(own.std(), own.mean())
    weight = np.asarray(max(slope**2, MIN_WEIGHT))  # squared, as a share of explained variance
    bank = Bank(mean, scale, windows, groups[chosen], floor, offsets, log_mean, log_scale, weight, chosen)
    copies = float(np.mean(neighbours.min(axis=0) < CLOSE**2 * neighbours.max(axis=0)))
    return FittedBank(bank, (own - log_mean) / log_scale, copies)


def warn_of_copies(share: float) -> None:
    """Logs a warning if a large share of the training windows, which have no groups, look like copies of others."""
    if share > MAX_COPIES:
        log.warning(
            f"{share:.0%} of the training windows look like copies: their nearest neighbour is closer than {CLOSE:g} "
            "times the distance to the fifth. The threshold is too low for new windows. Remove the copies, or give a "
            "window and its copies the same group."
        )


def _relative(squares: tf.Tensor, groups: np.ndarray, floor: np.ndarray, offsets: np.ndarray) -> tf.Tensor:
    """Computes the smallest logarithm of a relative distance, averaged over the nearest groups of the bank: (n,).

    Args:
        squares: Squared distances (n, M), infinite to excluded windows.
        groups, floor, offsets: Attributes of the bank.
    """
    relative = tf.maximum(squares, floor**2) * tf.exp(-2 * tf.convert_to_tensor(offsets))
    best = tf.transpose(tf.math.segment_min(tf.transpose(relative), groups))
    count = tf.clip_by_value(groups[-1], 1, NEAREST_GROUPS)  # the same number for new windows and for leave-one-out
    nearest = -tf.math.top_k(-best, count).values
    is_used = tf.math.is_finite(nearest)  # false for groups that hold nothing but copies of the window
    logs = tf.where(is_used, tf.math.log(tf.where(is_used, nearest, 1.0)), 0.0)
    return tf.reduce_sum(logs, axis=1) / tf.reduce_sum(tf.cast(is_used, logs.dtype), axis=1) / 2


def _column_scale(standardised: np.ndarray, left_out: np.ndarray, size: int, seed: int) -> np.ndarray:
    """Computes the scale of columns (D,): above 1, the larger the within-neighbour variance of a column."""
    subset = np.random.default_rng(seed).permutation(len(standardised))[:size]
    windows = standardised[subset]
    _, nearest = _nearest(_leave_one_out(windows, np.arange(len(subset)), left_out[:, subset]))
    variance = np.mean(np.square(windows - windows[nearest]), axis=0)
    return np.sqrt(1 + variance / variance.mean()) if variance.any() else np.ones_like(variance)


def _choose(scaled: np.ndarray, groups: np.ndarray, size: int, seed: int) -> np.ndarray:
    """Selects the positions of the bank windows, by group: all if there are at most `size`, else a share of each group."""
    chosen = []
    for group in np.unique(groups):
        inside = np.flatnonzero(groups == group)
        share = max(1, int(size * len(inside) / len(scaled)))
        chosen.append(inside if len(scaled) <= size else inside[k_centres(scaled[inside], share, seed)])
    return np.concatenate(chosen)


def _leave_one_out(features: np.ndarray, chosen: np.ndarray, left_out: np.ndarray) -> Iterator[np.ndarray]:
    """Yields parts of the squared distances (N, M) to the chosen windows, infinite between windows that are left out together.

    Args:
        features: (N, D).
        chosen: int (M,), the positions of the chosen windows.
        left_out: int (K, N), of which one is equal for windows that are left out together. Where that would be all, the last
            are not used, and at last only the window itself is left out.
    """
    keys = [*left_out, np.arange(len(features))]
    windows = features[chosen]
    for start, part in chunks(features):
        squares = _squared_distances(part, windows).numpy()
        squares[excluded([key[start : start + len(part), None] == key[chosen] for key in keys])] = np.inf
        yield squares


def excluded(candidates: list[np.ndarray]) -> np.ndarray:
    """Combines exclusions (n, M): all but the last, or fewer of them in rows where these would exclude everything."""
    *others, itself = candidates
    result = itself.copy()
    for count in range(1, len(others) + 1):
        combined = np.logical_or.reduce([*others[:count], itself])
        usable = ~combined.all(axis=1)
        result[usable] = combined[usable]
    return result


def _neighbours(features: np.ndarray, chosen: np.ndarray, duplicate_ids: np.ndarray) -> np.ndarray:
    """Computes the squared distances (k, M) of the chosen windows to their k nearest neighbours, without equal windows.

    k is `NEIGHBOURS`, or less where there are not so many different windows.
    """
    count = max(1, min(NEIGHBOURS, len(features) - np.unique(duplicate_ids, return_counts=True)[1].max()))
    closest = np.empty((0, len(chosen)))
    for squares in _leave_one_out(features, chosen, duplicate_ids[None]):
        closest = np.concatenate([closest, squares])
        closest = np.partition(closest, min(count, len(closest)) - 1, axis=0)[:count]
    return closest


def _nearest(parts: Iterable[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Returns the smallest distance of each window and its position, from parts of the squared distances."""
    found = [(np.sqrt(squares.min(axis=1)), squares.argmin(axis=1)) for squares in parts]
    return np.concatenate([distances for distances, _ in found]), np.concatenate([places for _, places in found])


def _squared_distances(features: tf.Tensor, windows: np.ndarray) -> tf.Tensor:
    """Computes the squared distances (n, M) between features (n, D) and windows (M, D)."""
    ours, others = (
        tf.cast(features, tf.float64),
        tf.cast(windows, tf.float64),
    )  # because of cancellation for near windows
    dot_products = tf.matmul(ours, others, transpose_b=True)
    squares = tf.reduce_sum(tf.square(ours), axis=1)[:, None] - 2 * dot_products + tf.reduce_sum(tf.square(others), axis=1)
    return tf.maximum(squares, 0)


def _slope(x: np.ndarray, y: np.ndarray) -> float:
    """Returns the slope of the least-squares line through (x, y), clipped to [0, 1]; 0 if all x are equal."""
    deviations = x - x.mean()
    spread = float(deviations @ deviations)
    return float(np.clip(deviations @ y / spread, 0, 1)) if spread > CONSTANT_BELOW else 0.0


def _safe(scale: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Returns standard deviations to divide by; a constant column gets 1, or more where rounding errors are larger."""
    rounding = CONSTANT_BELOW * np.abs(mean)
    return np.where(scale > rounding, scale, np.maximum(rounding, 1.0))
