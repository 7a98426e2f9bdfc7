"""The ensemble score: several kinds of features, without a network."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from amsl_tf import progress
from amsl_tf.config import DetectorConfig
from amsl_tf.data.pieces import Pieces
from amsl_tf.data.windows import chunks
from amsl_tf.errors import DataError
from amsl_tf.scoring.attribution import divide_logarithm
from amsl_tf.scoring.ensemble import BANK, CHANNELS, MEMBERS
from amsl_tf.scoring.ensemble.channels import ChannelScaling
from amsl_tf.scoring.ensemble.member import Member
from amsl_tf.scoring.ensemble.neighbours import Distances, Neighbours
from amsl_tf.scoring.members.bank import excluded, warn_of_copies
from amsl_tf.scoring.members.base import Contributions, Evidence, Score

QUANTILE = 0.9  # of the left-out values of a member, whose difference to the median is their spread
MIN_SPREAD = 0.01  # a member whose left-out distances hardly differ must not have all the weight
CONSTANT = "constant."  # the prefix of the constants of a member in its part


class HeldOut(NamedTuple):
    """The distances of n training windows to the bank, without the windows that are left out with them.

    Attributes:
        distances: float32 (n,), the mean distances to the nearest windows by member.
        shares: float64 (S,), the sums over the n windows of the shares of the sensors in their squares, by member.
    """

    distances: dict[str, np.ndarray]
    shares: dict[str, np.ndarray]

    @classmethod
    def join(cls, parts: Sequence["HeldOut"]) -> "HeldOut":
        """Joins the results for consecutive windows."""
        names = list(parts[0].distances)
        return cls(
            {name: np.concatenate([part.distances[name] for part in parts]) for name in names},
            {name: np.sum([part.shares[name] for part in parts], axis=0) for name in names},
        )


class Ensemble(Score):
    """The distance of a window to the nearest normal windows, by several kinds of features.

    For each member, features are standardised with the normal windows of the bank, and the distance of a window is the mean
    over the three nearest of them. The value of the member is the logarithm of this distance, less the median for left-out
    normal windows. The score is the weighted mean of the values: 0 for a typical normal window, log 2 for one twice as far
    from the others. Equations are on the page The method of the documentation.

    The bank also holds copies of its windows with noise, so that a new window with some noise has a neighbour.

    A normal window is left out with its group, or with its piece of the recording if windows overlap, or else alone. With
    groups the weight of a member is the inverse of the squared spread of its left-out values: a member that differs between
    groups says little about new ones. Otherwise the weights are equal. Without groups and pieces, distances are relative to
    the square root of the local density, which does not carry over to new groups or recordings.

    Args:
        config: The settings of the detector, of which `members`, `noise`, `axes`, `bank_size` and `training.seed` are used.
    """

    has_nearest = True
    has_contributions = True
    needs_network = False

    def __init__(self, config: DetectorConfig) -> None:
        super().__init__(config)
        self._members: dict[str, Member] = {name: MEMBERS[name]() for name in config.members}
        self._neighbours: dict[str, Neighbours] = {}
        self._offsets: dict[str, Any] = {}
        self._weights: dict[str, Any] = {}

    def fit(self, evidence: Evidence, groups: np.ndarray | None = None) -> np.ndarray:
        """Fits the members; see `Score.fit`.

        Raises:
            DataError: `groups` has a single value.
        """
        if groups is not None and len(np.unique(groups)) < 2:
            raise DataError(f"groups must have at least two values for the ensemble score. Received: only {groups[0]}.")
        x, group = evidence.windows, None if groups is None else np.unique(groups, return_inverse=True)[1]
        keys = left_out_keys(np.arange(len(x)), evidence.duplicate_ids, group, evidence.pieces)
        random = np.random.default_rng(self.config.training.seed)
        kept = self.draw_bank(len(x), random)
        # the density does not carry over to windows of new groups or pieces
        ids = keys[0][kept] if groups is None and evidence.pieces is None else None
        features = self.set_bank(x[kept], kept, ids, random)
        bank_keys, measured = [key[kept] for key in keys], []
        with progress.bar(len(x), "calibrating the ensemble", "windows") as bar:
            for start, part in chunks(x):
                places = slice(start, start + len(part))
                # the first windows of a bank that holds all are the training windows
                known = {name: own[places] for name, own in features.items()} if len(kept) == len(x) else None
                measured.append(self.measure_held_out(part, [key[places] for key in keys], bank_keys, known))
                bar.update(len(part))
        return self.calibrate(measured, has_groups=groups is not None)

    def draw_bank(self, count: int, random: np.random.Generator) -> np.ndarray:
        """Draws the windows of the bank from all training windows.

        Args:
            count: The number of training windows.
            random: What draws them, and then the noise of `set_bank`.

        Returns:
            Their positions, ascending, int64 (K,).
        """
        return np.sort(random.permutation(count)[: self.config.bank_size])

    def set_bank(
        self, windows: np.ndarray, rows: np.ndarray, ids: np.ndarray | None, random: np.random.Generator
    ) -> dict[str, np.ndarray]:
        """Sets the bank, the first step of fitting.

        Args:
            windows: float32 (K, T, C), the normal windows of the bank.
            rows: int64 (K,), their positions among all training windows.
            ids: int (K,), equal for duplicates, which are not neighbours, to make distances relative to the local density; None
                for distances as they are.
            random: What draws the noise of the copies.

        Returns:
            The features of the windows by member, float32 (K, D).
        """
        self._channels = ChannelScaling.fit(windows, self.config.axes)
        scaled = np.concatenate([self._channels(part).numpy() for _, part in chunks(windows)])
        deviation = ChannelScaling.fit(windows, axes=1).deviation
        noisy = [_add_noise(windows, deviation, decibels, random) for decibels in self.config.noise]
        self._rows = np.tile(rows, 1 + len(noisy))
        features, copies = {}, []
        for name, member in self._members.items():
            member.prepare(scaled, self.config.training.seed)
            bank = np.concatenate([self._describe(member, part) for whole in (windows, *noisy) for _, part in chunks(whole)])
            sensors = member.sensors(bank.shape[1], scaled.shape[2])
            self._neighbours[name] = neighbours = Neighbours.fit(bank, sensors, scaled.shape[2])
            if ids is not None:
                copies.append(neighbours.set_density(ids))
            neighbours.to_tensors()
            features[name] = bank[: len(windows)].copy()
        warn_of_copies(min(copies, default=0.0))  # a copy is close by the features of every member
        return features

    def measure_held_out(
        self,
        windows: np.ndarray,
        keys: Sequence[np.ndarray],
        bank_keys: Sequence[np.ndarray],
        features: Mapping[str, np.ndarray] | None = None,
    ) -> HeldOut:
        """Measures training windows against the bank without those that are left out with them, the second step of fitting.

        The windows may be measured in parts, in any order and in several processes.

        Args:
            windows: float32 (n, T, C).
            keys: int (n,) each, see `left_out_keys`; the last one is that of the window itself.
            bank_keys: int (K,) each, the keys of the windows of the bank.
            features: The features of the windows by member, if they are known.
        """
        pairs = excluded([ours[:, None] == bank for ours, bank in zip(keys, self._tile(bank_keys), strict=True)])
        distances, shares = {}, {}
        for name, member in self._members.items():
            own = self._describe(member, windows) if features is None else features[name]
            neighbours = self._neighbours[name]
            found = neighbours.measure(tf.constant(own), excluded=pairs)
            distances[name] = found.mean.numpy()
            shares[name] = neighbours.share_by_sensor(found.parts).sum(axis=0)
        return HeldOut(distances, shares)

    def calibrate(self, measured: Sequence[HeldOut], *, has_groups: bool) -> np.ndarray:
        """Calibrates the members, the last step of fitting.

        Args:
            measured: The results of `measure_held_out` for all N training windows, in order.
            has_groups: Whether groups were left out; the weights of the members are otherwise equal.

        Returns:
            The held-out scores of the training windows, float32 (N,).
        """
        total, weights, whole = 0.0, 0.0, HeldOut.join(measured)
        for name, neighbours in self._neighbours.items():
            distances = whole.distances[name]
            neighbours.set_floor(distances)
            values = np.log(np.maximum(distances, neighbours.floor))
            offset = np.median(values)
            values = values - offset
            neighbours.set_usual(whole.shares[name] / len(distances), np.exp(offset))
            self._offsets[name] = np.float32(offset)
            weight = max(np.quantile(values, QUANTILE), MIN_SPREAD) ** -2 if has_groups else 1.0
            self._weights[name] = np.float32(weight)
            total, weights = total + weight * values.astype(np.float64), weights + weight
        return np.asarray(total / weights, np.float32)

    def score(self, evidence: Evidence) -> tf.Tensor:
        """Computes the weighted mean of the values of the members, float32 (N,)."""
        return tf.add_n(list(self._weigh(self.member_values(evidence)).values()))

    def member_values(self, evidence: Evidence) -> dict[str, tf.Tensor]:
        """Computes the value of each member, float32 (N,) by name."""
        return self._values(self._measure(self._channels(evidence.windows), evidence.alive))

    def contributions(self, evidence: Evidence) -> Contributions:
        """Divides the score among the members, the sensors and the time steps.

        The parts of the features in a squared distance are summed by sensor and by time step. See `divide_logarithm`.
        """
        scaled = self._channels(evidence.windows)
        measured, steps = self._measure(scaled, evidence.alive), scaled.shape[1]
        values, channels, time = self._values(measured), {}, {}
        for name, (_, parts, slopes) in measured.items():
            neighbours = self._neighbours[name]
            usual = tf.convert_to_tensor(neighbours.usual)
            if evidence.alive is not None:
                usual *= neighbours.weigh(evidence.alive)
            channels[name] = divide_logarithm(values[name], neighbours.sum_by_sensor(parts), usual)
            by_time = self._members[name].divide_by_time(scaled, parts, slopes)
            time[name] = divide_logarithm(values[name], by_time, tf.repeat(tf.reduce_sum(neighbours.usual) / steps, steps))
        members = tf.stack(list(self._weigh(values).values()), axis=1)
        return Contributions(members, *(tf.add_n(list(self._weigh(part).values())) for part in (channels, time)))

    def _measure(self, scaled: tf.Tensor, alive: tf.Tensor | None) -> dict[str, Distances]:
        """Measures the distances of scaled windows (N, T, S) by each member."""
        return {
            name: self._neighbours[name].measure(member.describe(scaled), alive=alive) for name, member in self._members.items()
        }

    def _values(self, measured: Mapping[str, Distances]) -> dict[str, tf.Tensor]:
        """Computes the value of each member from its distances, float32 (N,) by name."""
        return {
            name: tf.math.log(tf.maximum(found.mean, self._neighbours[name].floor)) - self._offsets[name]
            for name, found in measured.items()
        }

    def _weigh(self, values: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Multiplies values of members, by name, by their weights relative to the sum of all weights."""
        weights = {name: tf.convert_to_tensor(self._weights[name]) for name in self._members}
        total = tf.add_n(list(weights.values()))
        return {name: weights[name] / total * value for name, value in values.items()}

    def nearest(self, evidence: Evidence) -> tf.Tensor:
        """Returns the training position of the nearest window of the bank by the weighted mean of all members, int64 (N,)."""
        scaled = self._channels(evidence.windows)
        distances = [
            self._weights[name] * self._neighbours[name].log_distances(member.describe(scaled), evidence.alive)
            for name, member in self._members.items()
        ]
        return tf.cast(tf.gather(self._rows, tf.argmin(tf.add_n(distances), axis=1)), tf.int64)

    @property
    def members(self) -> tuple[str, ...]:
        """The names of the members."""
        return tuple(self._members)

    @property
    def weights(self) -> dict[str, float]:
        """The weights of the members after `fit`; they sum to 1."""
        total = sum(map(float, self._weights.values()))
        return {name: float(weight) / total for name, weight in self._weights.items()}

    def state(self) -> dict[str, np.ndarray]:
        """Returns the scaling, the rows of the bank, and the neighbours, constants and calibration of each member.

        Returns:
            Arrays as `PART.ATTRIBUTE`.
        """
        parts: dict[str, dict[str, Any]] = {CHANNELS: _attributes(self._channels), BANK: {"rows": self._rows}}
        for name, member in self._members.items():
            calibration = {"offset": self._offsets[name], "weight": self._weights[name]}
            constants = {CONSTANT + key: value for key, value in member.constants().items()}
            parts[name] = {**_attributes(self._neighbours[name]), **calibration, **constants}
        return {f"{part}.{key}": np.asarray(value) for part, values in parts.items() for key, value in values.items()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Sets the result of `state`, as arrays or TensorFlow variables."""
        parts: dict[str, dict[str, Any]] = {}
        for key, value in state.items():
            part, _, name = key.partition(".")
            parts.setdefault(part, {})[name] = value
        self._channels, self._rows = ChannelScaling(**parts[CHANNELS]), parts[BANK]["rows"]
        for name, member in self._members.items():
            values = parts[name]
            constants = {key: values.pop(key) for key in list(values) if key.startswith(CONSTANT)}
            member.restore({key.removeprefix(CONSTANT): value for key, value in constants.items()})
            self._offsets[name], self._weights[name] = values.pop("offset"), values.pop("weight")
            self._neighbours[name] = Neighbours(**values)
            self._neighbours[name].to_tensors()

    def _describe(self, member: Member, windows: np.ndarray) -> np.ndarray:
        """Computes the features of windows (n, T, C), float32 (n, D)."""
        return member.describe(self._channels(tf.constant(windows))).numpy()

    def _tile(self, keys: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Repeats keys of the windows of the bank (K,) for their noisy copies: (M,) each."""
        return [np.tile(key, len(self._rows) // len(key)) for key in keys]


def left_out_keys(
    rows: np.ndarray, ids: np.ndarray | None, groups: np.ndarray | None, pieces: Pieces | None
) -> list[np.ndarray]:
    """Returns the keys of n training windows: those with an equal key are left out together.

    These are the groups, or the pieces and their borders; then duplicates; at last the window itself.

    Args:
        rows: int64 (n,), their positions among all windows.
        ids: int64 (n,), equal for duplicates; None if there are none.
        groups: int64 (n,), their groups, or None.
        pieces: The pieces of all windows, without groups, or None.
    """
    keys = [rows if ids is None else ids, rows]
    if groups is not None:
        return [groups, *keys]
    return keys if pieces is None else [pieces.number[rows], pieces.border[rows], *keys]


def _add_noise(windows: np.ndarray, deviation: np.ndarray, decibels: float, random: np.random.Generator) -> np.ndarray:
    """Adds Gaussian noise to windows (N, T, C), so many decibels below the standard deviation of each channel (C,)."""
    noise = deviation / 10 ** (decibels / 20) * random.normal(size=windows.shape)
    return (windows + noise).astype(np.float32)


def _attributes(part: Any) -> dict[str, Any]:
    return {field.name: getattr(part, field.name) for field in fields(part)}
