"""Distances to the nearest normal windows by the features of a member of the ensemble."""

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from amsl_tf.data.windows import chunks
from amsl_tf.scoring.members.bank import CLOSE

NEIGHBOURS = 3  # whose distances are averaged
CONSTANT_BELOW = 1e-5  # deviations of a column below it, or below this share of its mean, are rounding errors of float32
DENSITY_NEIGHBOURS = 5  # whose mean distance is the local density of a window
DENSITY_SHARE = 0.5  # the share of a distance's scale that the normal window accounts for; that of the new one is unknown
MIN_DENSITY = 0.05  # of the median: windows with near copies must not count as infinitely dense
FLOOR_SHARE = 0.01  # of the median distance: the smallest distance, as duplicates have distance 0
FLOOR_PER_COLUMN = 1e-5  # in standard deviations: the distance below which float32 cannot separate windows


@dataclass
class Neighbours:
    """The features of normal windows, the bank, and the distances of others to them.

    Attributes:
        mean, scale: float32 (D,), the standardisation of the features.
        bank: float32 (M, D), the standardised features of the normal windows.
        density: float32 (M,), the divisor of the distances to each of them: 1 unless `set_density` is called.
        floor: float32 (), the smallest distance.
    """

    mean: np.ndarray
    scale: np.ndarray
    bank: np.ndarray
    density: np.ndarray
    floor: np.ndarray

    @classmethod
    def fit(cls, features: np.ndarray) -> "Neighbours":
        """Fits the standardisation to the features of normal windows, float32 (M, D), and keeps them."""
        mean, scale = features.mean(axis=0, dtype=np.float64), features.std(axis=0, dtype=np.float64)
        scale = np.where(scale <= CONSTANT_BELOW * np.maximum(1.0, np.abs(mean)), 1.0, scale)
        bank = ((features - mean) / scale).astype(np.float32)
        return cls(
            mean.astype(np.float32), scale.astype(np.float32), bank, np.ones(len(bank), np.float32), np.zeros((), np.float32)
        )

    def set_density(self, ids: np.ndarray) -> float:
        """Makes distances relative to the square root of the local density: they count for more where normal windows are dense.

        Args:
            ids: int (L,), of the first L windows of the bank, equal for those that are not neighbours, such as duplicates. The
                others are copies of these, in the same order, and have the same density.

        Returns:
            The share of the windows that look like copies of others, from 0 to 1; see `CLOSE`.
        """
        originals, copies = self.bank[: len(ids)], len(self.bank) // len(ids)
        count, local, is_copy = min(DENSITY_NEIGHBOURS, len(ids)), [], []
        for start, part in chunks(originals):
            squares = _squares(part, originals).numpy()
            squares[ids[start : start + len(part), None] == ids] = np.inf
            closest = np.sqrt(np.partition(squares, count - 1, axis=1)[:, :count])
            is_used = np.isfinite(closest)
            local.append(np.where(is_used, closest, 0).sum(axis=1) / np.maximum(is_used.sum(axis=1), 1))
            is_copy.append(is_used.all(axis=1) & (closest.min(axis=1) < CLOSE * closest.max(axis=1)))
        distances = np.concatenate(local)
        if np.median(distances) > 0:
            relative = np.maximum(distances / np.median(distances), MIN_DENSITY)
            self.density = np.tile(relative**DENSITY_SHARE, copies).astype(np.float32)
        return float(np.mean(np.concatenate(is_copy)))

    def to_tensors(self) -> None:
        """Makes tensors of the arrays: graphs refer to tensors, and would hold copies of arrays, each compiled anew."""
        self.bank, self.density = tf.convert_to_tensor(self.bank), tf.convert_to_tensor(self.density)

    def set_floor(self, distances: np.ndarray) -> None:
        """Sets the smallest distance, from those of normal windows (N,)."""
        smallest = FLOOR_PER_COLUMN * np.sqrt(len(self.mean))
        self.floor = np.asarray(max(FLOOR_SHARE * np.median(distances), smallest), np.float32)

    def distances(self, features: tf.Tensor, excluded: np.ndarray | None = None) -> tf.Tensor:
        """Computes the mean distance of windows to the nearest windows of the bank, float32 (B,).

        Args:
            features: float32 (B, D).
            excluded: bool (B, M), the windows that each is not compared with; if None, it is compared with all. Where fewer
                than three are left, the mean is over these.
        """
        ours = (features - self.mean) / self.scale
        squares = self._relative_squares(ours)
        if excluded is not None:
            squares = tf.where(excluded, np.inf, squares)
        smallest, nearest = tf.math.top_k(-squares, min(NEIGHBOURS, self.bank.shape[0]))
        # cancellation in the squares may swap neighbours that are about equally far, and no more
        bank, density = tf.convert_to_tensor(self.bank), tf.convert_to_tensor(self.density)
        exact = tf.norm(ours[:, None] - tf.gather(bank, nearest), axis=2) / tf.gather(density, nearest)
        is_used = tf.cast(tf.math.is_finite(smallest), exact.dtype)
        return tf.reduce_sum(exact * is_used, axis=1) / tf.reduce_sum(is_used, axis=1)

    def log_distances(self, features: tf.Tensor) -> tf.Tensor:
        """Computes the logarithms of the distances of windows to all windows of the bank: float32 (B, D) to (B, M)."""
        squares = self._relative_squares((features - self.mean) / self.scale)
        return tf.math.log(tf.maximum(squares, tf.square(self.floor))) / 2

    def _relative_squares(self, ours: tf.Tensor) -> tf.Tensor:
        return _squares(ours, self.bank) / tf.square(self.density)


def _squares(ours: tf.Tensor, bank: np.ndarray) -> tf.Tensor:
    """Computes the squared distances (n, M) between standardised features (n, D) and (M, D)."""
    bank = tf.convert_to_tensor(bank)
    squares = tf.reduce_sum(tf.square(ours), axis=1)[:, None] + tf.reduce_sum(tf.square(bank), axis=1)
    return tf.maximum(squares - 2 * tf.matmul(ours, bank, transpose_b=True), 0.0)
