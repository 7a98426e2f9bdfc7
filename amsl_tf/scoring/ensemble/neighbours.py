"""Distances to the nearest normal windows by the features of a member of the ensemble."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from amsl_tf.data.windows import chunks
from amsl_tf.scoring.attribution import sum_by_sensor
from amsl_tf.scoring.members.bank import CLOSE

NEIGHBOURS = 3  # whose distances are averaged
CONSTANT_BELOW = 1e-5  # deviations of a column below it, or below this share of its mean, are rounding errors of float32
DENSITY_NEIGHBOURS = 5  # whose mean distance is the local density of a window
DENSITY_SHARE = 0.5  # the share of a distance's scale that the normal window accounts for; that of the new one is unknown
MIN_DENSITY = 0.05  # of the median: windows with near copies must not count as infinitely dense
FLOOR_SHARE = 0.01  # of the median distance: the smallest distance, as duplicates have distance 0
LEAST_ALIVE = 0.1  # of the usual squared distance: fewer sensors cannot stand for all
FLOOR_PER_COLUMN = 1e-5  # in standard deviations: the distance below which float32 cannot separate windows


class Distances(NamedTuple):
    """The distances of B windows to the nearest windows of the bank.

    Attributes:
        mean: float32 (B,), the mean distance to the nearest windows.
        parts: float32 (B, D), what each feature adds to its square.
        slopes: float32 (B, D), the parts divided by the mean difference of each feature to the nearest windows, in the units of
            the feature.
    """

    mean: tf.Tensor
    parts: tf.Tensor
    slopes: tf.Tensor


@dataclass
class Neighbours:
    """The features of normal windows, the bank, and the distances of others to them.

    Attributes:
        mean, scale: float32 (D,), the standardisation of the features.
        bank: float32 (M, D), the standardised features of the normal windows.
        density: float32 (M,), the divisor of the distances to each of them: 1 unless `set_density` is called.
        floor: float32 (), the smallest distance.
        sensors: int32 (D,), the sensor of each feature, or `ALL_SENSORS`.
        usual: float32 (S,), the part of each sensor in the squared distance of a typical normal window; see `set_usual`.
    """

    mean: np.ndarray
    scale: np.ndarray
    bank: np.ndarray
    density: np.ndarray
    floor: np.ndarray
    sensors: np.ndarray
    usual: np.ndarray

    def __post_init__(self) -> None:
        self._lengths = tf.reduce_sum(tf.square(tf.convert_to_tensor(self.bank)), axis=1)  # computed once

    @classmethod
    def fit(cls, features: np.ndarray, sensors: np.ndarray, count: int) -> "Neighbours":
        """Fits the standardisation to the features of normal windows, float32 (M, D) of `count` sensors, and keeps them."""
        mean, scale = features.mean(axis=0, dtype=np.float64), features.std(axis=0, dtype=np.float64)
        scale = np.where(scale <= CONSTANT_BELOW * np.maximum(1.0, np.abs(mean)), 1.0, scale)
        bank = ((features - mean) / scale).astype(np.float32)
        mean, scale = mean.astype(np.float32), scale.astype(np.float32)
        density, usual = np.ones(len(bank), np.float32), np.zeros(count, np.float32)
        return cls(mean, scale, bank, density, np.zeros((), np.float32), sensors, usual)

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
            squares = _squares(part, originals, self._lengths[: len(ids)]).numpy()
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
        for name in ("bank", "density"):
            if not isinstance(value := getattr(self, name), tf.Variable):  # those of an export stay variables
                setattr(self, name, tf.convert_to_tensor(value))

    def set_floor(self, distances: np.ndarray) -> None:
        """Sets the smallest distance, from those of normal windows (N,)."""
        smallest = FLOOR_PER_COLUMN * np.sqrt(len(self.mean))
        self.floor = np.asarray(max(FLOOR_SHARE * np.median(distances), smallest), np.float32)

    def set_usual(self, shares: np.ndarray, distance: float) -> None:
        """Sets the usual parts of the sensors: their mean shares over normal windows (S,) times the square of a distance."""
        self.usual = (distance**2 * shares).astype(np.float32)

    def share_by_sensor(self, parts: tf.Tensor) -> np.ndarray:
        """Computes the shares of the sensors in squared distances, float64 (B, S), from the parts of the features (B, D)."""
        by_sensor = self.sum_by_sensor(parts).numpy().astype(np.float64)
        totals = by_sensor.sum(axis=1, keepdims=True)
        return np.divide(by_sensor, totals, out=np.full_like(by_sensor, 1 / by_sensor.shape[1]), where=totals > 0)

    def measure(self, features: tf.Tensor, *, excluded: np.ndarray | None = None, alive: tf.Tensor | None = None) -> Distances:
        """Measures the distances of windows to the nearest windows of the bank.

        Args:
            features: float32 (B, D).
            excluded: bool (B, M), the windows that each is not compared with; if None, it is compared with all. Where fewer
                than three are left, the mean is over these.
            alive: bool (B, S), the sensors that count; None for all. See `weigh`.
        """
        ours, weights = (features - self.mean) / self.scale, self._weigh_features(alive)
        squares = self._relative_squares(ours, weights)
        if excluded is not None:
            squares = tf.where(excluded, np.inf, squares)
        smallest, nearest = tf.math.top_k(-squares, min(NEIGHBOURS, self.bank.shape[0]))
        # cancellation in the squares may swap neighbours that are about equally far, and no more
        density = tf.gather(tf.convert_to_tensor(self.density), nearest)[..., None]
        differences = (ours[:, None] - tf.gather(tf.convert_to_tensor(self.bank), nearest)) / density
        if weights is not None:
            differences *= tf.sqrt(weights)[:, None]
        distances, is_used = tf.norm(differences, axis=2), tf.cast(tf.math.is_finite(smallest), tf.float32)
        shares = is_used / tf.reduce_sum(is_used, axis=1, keepdims=True)
        mean = tf.reduce_sum(shares * distances, axis=1)
        # the mean of d is the mean of the sums of (square of a difference) / d
        shares = tf.math.divide_no_nan(shares, distances) * mean[:, None]
        parts = tf.einsum("bk,bkd->bd", shares, tf.square(differences))
        slopes = tf.einsum("bk,bkd->bd", shares, differences / density) / self.scale
        if weights is not None:
            slopes *= tf.sqrt(weights)
        return Distances(mean, parts, slopes)

    def sum_by_sensor(self, parts: tf.Tensor) -> tf.Tensor:
        """Sums what the features add to squared distances, (B, D), by sensor: (B, S)."""
        return sum_by_sensor(parts, self.sensors, self.usual.shape[0])

    def weigh(self, alive: tf.Tensor) -> tf.Tensor:
        """Weighs the squared differences of sensors so that alive ones stand for all, with the same usual distance.

        Where these have less than `LEAST_ALIVE` of the usual distance, all sensors count as they are.

        Args:
            alive: bool (B, S).

        Returns:
            float32 (B, S): the same for all alive sensors of a window, and 0 for others; or 1 for all.
        """
        usual = tf.convert_to_tensor(self.usual)
        left = tf.reduce_sum(tf.where(alive, usual, 0.0), axis=1, keepdims=True)
        total = tf.reduce_sum(usual)
        return tf.where(left >= LEAST_ALIVE * total, tf.where(alive, tf.math.divide_no_nan(total, left), 0.0), 1.0)

    def log_distances(self, features: tf.Tensor, alive: tf.Tensor | None = None) -> tf.Tensor:
        """Computes the logarithms of the distances of windows to all windows of the bank: float32 (B, D) to (B, M)."""
        squares = self._relative_squares((features - self.mean) / self.scale, self._weigh_features(alive))
        return tf.math.log(tf.maximum(squares, tf.square(self.floor))) / 2

    def _weigh_features(self, alive: tf.Tensor | None) -> tf.Tensor | None:
        """Returns the weight of the square of each feature, float32 (B, D): that of its sensor, the largest for all sensors."""
        if alive is None:
            return None
        by_sensor = self.weigh(alive)
        by_sensor = tf.concat([tf.reduce_max(by_sensor, axis=1, keepdims=True), by_sensor], axis=1)
        return tf.gather(by_sensor, tf.convert_to_tensor(self.sensors) + 1, axis=1)  # 0 for all sensors

    def _relative_squares(self, ours: tf.Tensor, weights: tf.Tensor | None) -> tf.Tensor:
        """Computes squared distances (B, M), relative to the density, by standardised features (B, D) with weights (B, D)."""
        bank = tf.convert_to_tensor(self.bank)

        def plain() -> tf.Tensor:
            return _squares(ours, bank, self._lengths)

        def weighted() -> tf.Tensor:
            lengths = tf.reduce_sum(weights * tf.square(ours), axis=1)[:, None]
            lengths += tf.matmul(weights, tf.square(bank), transpose_b=True)
            return tf.maximum(lengths - 2 * tf.matmul(weights * ours, bank, transpose_b=True), 0.0)

        # with weights it is twice the work
        squares = plain() if weights is None else tf.cond(tf.reduce_all(weights == 1), plain, weighted)
        return squares / tf.square(self.density)


def _squares(ours: tf.Tensor, bank: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
    """Computes the squared distances (n, M) between standardised features (n, D) and (M, D), whose squared lengths are (M,)."""
    squares = tf.reduce_sum(tf.square(ours), axis=1)[:, None] + lengths
    return tf.maximum(squares - 2 * tf.matmul(ours, bank, transpose_b=True), 0.0)
