"""A bank of normal windows, and how far others are from it beside how far its own windows are from each other."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from amsl_tf.data.windows import chunks
from amsl_tf.scoring.coreset import k_centres

CLOSEST_GROUPS = 2  # that are averaged: what is normal is seen in more than one person or recording
SPACING = 5  # neighbours that say how close together training windows lie at a window of the bank
OWN_SHARE = 0.5  # of the scale of a distance that is the bank's; the other half would be the new window's, which is not known
LEAST_WEIGHT = 1e-3  # where no kind of features follows the spacing, all count the same
FLOOR_SHARE = 0.01  # distances below this share of the median count as this share: exact repeats of windows have distance 0
FLOOR_PER_COLUMN = 1e-4  # distance, in deviations, below which float32 no longer tells windows apart
CONSTANT_BELOW = 1e-6  # deviations below this share of the mean are float32's rounding, not a spread


@dataclass
class Bank:
    """Training windows by the features of one kind, and what distances to them are measured by.

    Attributes:
        mean, scale: float64 (D,), of the columns of the features.
        windows: float32 (M, D), scaled features.
        groups: int (M,), the number of each window's group, in rising order; all 0 where none are given.
        floor: Smallest distance that is told from none.
        offsets: float64 (M,), what is taken off the logarithm of a distance to each window; 0 where there are groups.
        log_mean, log_scale: Of what the training windows' own distances come to.
        weight: Of this kind, above 0.
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
        """Ratings of windows by their features, float64 (N, D) to (N,)."""
        squares = self._squares(features)
        return (_relative(squares, self.groups, self.floor, self.offsets) - self.log_mean) / self.log_scale

    def nearest(self, features: tf.Tensor) -> tf.Tensor:
        """The window of the bank nearest to each window, spacing considered: float64 (N, D) to `rows`, int64 (N,)."""
        logs = tf.math.log(tf.maximum(self._squares(features), self.floor**2)) / 2 - self.offsets
        return tf.cast(tf.gather(self.rows, tf.argmin(logs, axis=1)), tf.int64)

    def _squares(self, features: tf.Tensor) -> tf.Tensor:
        return _squared_distances((features - self.mean) / self.scale, self.windows)


def fit_bank(features: np.ndarray, groups: np.ndarray, size: int, seed: int) -> tuple[Bank, np.ndarray]:
    """A bank of normal windows, and the scores of all of them, each left out of it or, if there are several, its whole group.

    What a window is left out of is the windows that it is compared with; scaling and spacing come from all of them. Between
    windows of the bank alone the spacing would say nothing: those that `k_centres` takes are all as far from each other.

    Args:
        features: float64 (N, D).
        groups: int (N,), numbered from 0; all 0 where none are given.
        size: Windows that are kept, at most, but at least one of each group.
        seed: Of the choice of what is kept.
    """
    mean = features.mean(axis=0)
    scale = _safe(features.std(axis=0), mean)
    scale = scale * _unsteadiness((features - mean) / scale, groups, size, seed)
    scaled = ((features - mean) / scale).astype(np.float32)
    chosen = _choose(scaled, groups, size, seed)
    windows = scaled[chosen]

    away, nearest = _nearest(_left_out(scaled, chosen, groups))
    floor = np.asarray(max(FLOOR_SHARE * np.median(away), FLOOR_PER_COLUMN * np.sqrt(features.shape[1])))
    spacing = np.log(np.maximum(_closest(scaled, chosen), floor**2)).mean(axis=0) / 2
    followed = _slope(spacing[nearest], np.log(np.maximum(away, floor)))
    # other people's windows lie otherwise: the bank's spacing says nothing of theirs
    offsets = np.zeros_like(spacing) if groups.any() else OWN_SHARE * followed * spacing
    parts = _left_out(scaled, chosen, groups)
    own = np.concatenate([_relative(squares, groups[chosen], floor, offsets).numpy() for squares in parts])
    log_mean, log_scale = own.mean(), _safe(own.std(), own.mean())
    weight = np.asarray(max(followed**2, LEAST_WEIGHT))  # as a share of variance: what follows it a little says next to nothing
    bank = Bank(mean, scale, windows, groups[chosen], floor, offsets, log_mean, log_scale, weight, chosen)
    return bank, (own - log_mean) / log_scale


def _relative(squares: tf.Tensor, groups: np.ndarray, floor: np.ndarray, offsets: np.ndarray) -> tf.Tensor:
    """The smallest logarithm of a distance less the offset there, averaged over the closest groups of the bank: (n,).

    Args:
        squares: Squared distances (n, M), infinite where one does not count.
        groups, floor, offsets: Of the bank.
    """
    relative = tf.maximum(squares, floor**2) * tf.exp(-2 * tf.convert_to_tensor(offsets))
    best = tf.transpose(tf.math.segment_min(tf.transpose(relative), groups))
    count = tf.clip_by_value(groups[-1], 1, CLOSEST_GROUPS)  # as many for new windows as for those that are left out of a group
    return tf.reduce_mean(tf.math.log(-tf.math.top_k(-best, count).values), axis=1) / 2


def _unsteadiness(standardised: np.ndarray, groups: np.ndarray, size: int, seed: int) -> np.ndarray:
    """What to divide columns by: above 1, the more a column differs between a window and its nearest, left out."""
    some = np.random.default_rng(seed).permutation(len(standardised))[:size]
    windows = standardised[some]
    _, nearest = _nearest(_left_out(windows, np.arange(len(some)), groups[some]))
    moved = np.mean(np.square(windows - windows[nearest]), axis=0)
    return np.sqrt(1 + moved / moved.mean()) if moved.any() else np.ones_like(moved)


def _choose(scaled: np.ndarray, groups: np.ndarray, size: int, seed: int) -> np.ndarray:
    """Positions of the windows to keep, group by group: all if they are not too many, else of each group its share."""
    chosen = []
    for group in np.unique(groups):
        inside = np.flatnonzero(groups == group)
        share = max(1, int(size * len(inside) / len(scaled)))
        chosen.append(inside if len(scaled) <= size else inside[k_centres(scaled[inside], share, seed)])
    return np.concatenate(chosen)


def _left_out(features: np.ndarray, chosen: np.ndarray, groups: np.ndarray) -> Iterator[np.ndarray]:
    """Squared distances (N, M) to the chosen windows, in parts; infinite to itself, or to its group if there are several."""
    several = len(np.unique(groups[chosen])) > 1
    windows = features[chosen]
    for start, part in chunks(features):
        squares = _squared_distances(part, windows).numpy()
        rows = np.arange(start, start + len(part))
        same = groups[rows][:, None] == groups[chosen] if several else rows[:, None] == chosen
        squares[same] = np.inf
        yield squares


def _closest(features: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Squared distances (SPACING, M) of the chosen windows to those that are closest to them, of all others."""
    count = min(SPACING, len(features) - 1)
    closest = np.empty((0, len(chosen)))
    for squares in _left_out(features, chosen, np.zeros(len(features), int)):
        closest = np.concatenate([closest, squares])
        closest = np.partition(closest, min(count, len(closest)) - 1, axis=0)[:count]
    return closest


def _nearest(parts: Iterable[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The smallest distance of each window, and its place, from parts of the squared distances."""
    found = [(np.sqrt(squares.min(axis=1)), squares.argmin(axis=1)) for squares in parts]
    return np.concatenate([distances for distances, _ in found]), np.concatenate([places for _, places in found])


def _squared_distances(features: tf.Tensor, windows: np.ndarray) -> tf.Tensor:
    """Squared distances (n, M) between features (n, D) and windows (M, D)."""
    ours, others = tf.cast(features, tf.float64), tf.cast(windows, tf.float64)  # near windows cancel in the difference below
    products = tf.matmul(ours, others, transpose_b=True)
    squares = tf.reduce_sum(tf.square(ours), axis=1)[:, None] - 2 * products + tf.reduce_sum(tf.square(others), axis=1)
    return tf.maximum(squares, 0)


def _slope(x: np.ndarray, y: np.ndarray) -> float:
    """Of the line through (x, y) with the least squares, at least 0 and at most 1; 0 where all x are the same."""
    deviations = x - x.mean()
    spread = float(deviations @ deviations)
    return float(np.clip(deviations @ y / spread, 0, 1)) if spread > CONSTANT_BELOW else 0.0


def _safe(scale: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """A deviation to divide by: where there is none but for rounding, 1 or so much that the rounding stays small."""
    rounding = CONSTANT_BELOW * np.abs(mean)
    return np.where(scale > rounding, scale, np.maximum(rounding, 1.0))
