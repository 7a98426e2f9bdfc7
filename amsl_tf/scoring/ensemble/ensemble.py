"""The ensemble score: several kinds of features, without a network."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from typing import Any

import numpy as np
import tensorflow as tf

from amsl_tf import progress
from amsl_tf.config import DetectorConfig
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
        x, seed = evidence.windows, self.config.training.seed
        keys = _left_out_keys(evidence, groups)
        random = np.random.default_rng(seed)
        kept = np.sort(random.permutation(len(x))[: self.config.bank_size])
        sample = x[kept]
        self._channels = ChannelScaling.fit(sample, self.config.axes)
        scaled = np.concatenate([self._channels(part).numpy() for _, part in chunks(sample)])
        deviation = ChannelScaling.fit(sample, axes=1).deviation
        noisy = [_add_noise(sample, deviation, decibels, random) for decibels in self.config.noise]
        self._rows = np.tile(kept, 1 + len(noisy))
        total, weights, copies = np.zeros(len(x)), 0.0, []
        with progress.bar(len(self._members), "fitting the ensemble", "members") as bar:
            for name, member in self._members.items():
                member.prepare(scaled, seed)
                bank = np.concatenate([features for part in (sample, *noisy) for _, features in self._describe(member, part)])
                # the first windows of a bank that holds all are the training windows
                own = chunks(bank[: len(x)]) if len(kept) == len(x) else self._describe(member, x)
                sensors = member.sensors(bank.shape[1], scaled.shape[2])
                self._neighbours[name] = neighbours = Neighbours.fit(bank, sensors, scaled.shape[2])
                if groups is None and evidence.pieces is None:
                    copies.append(neighbours.set_density(keys[0][kept]))
                values = self._calibrate(name, own, keys)
                weight = 1.0 if groups is None else max(np.quantile(values, QUANTILE), MIN_SPREAD) ** -2
                self._weights[name] = np.float32(weight)
                total, weights = total + weight * values, weights + weight
                neighbours.to_tensors()
                bar.update(1)
        warn_of_copies(min(copies, default=0.0))  # a copy is close by the features of every member
        return (total / weights).astype(np.float32)

    def _calibrate(self, name: str, own: Iterable[tuple[int, np.ndarray]], keys: list[np.ndarray]) -> np.ndarray:
        """Calibrates a member on left-out training windows.

        Args:
            name: The name of the member.
            own: Its features of the training windows in parts (n, D), each with the position of its first window.
            keys: The result of `_left_out_keys`.

        Returns:
            The values of the training windows, float64 (N,), with median 0.
        """
        neighbours, measured = self._neighbours[name], []
        for start, features in own:
            places = slice(start, start + len(features))
            pairs = excluded([key[places, None] == key[self._rows] for key in keys])
            found = neighbours.measure(tf.constant(features), excluded=pairs)
            measured.append((found.mean.numpy(), neighbours.sum_by_sensor(found.parts).numpy()))
        distances, parts = (np.concatenate(values) for values in zip(*measured, strict=True))
        neighbours.set_floor(distances)
        values = np.log(np.maximum(distances, neighbours.floor))
        offset = np.median(values)
        neighbours.set_usual(parts, np.exp(offset))
        self._offsets[name] = np.float32(offset)
        return np.asarray(values - offset)

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

    def _describe(self, member: Member, x: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        """Yields the features of windows (N, T, C) in parts, each with the position of its first window."""
        for start, part in chunks(x):
            yield start, member.describe(self._channels(tf.constant(part))).numpy()


def _left_out_keys(evidence: Evidence, groups: np.ndarray | None) -> list[np.ndarray]:
    """Returns the keys of `excluded`, int (N,) each: training windows with an equal key are left out together.

    These are the groups, or the pieces and their borders; then duplicates; at last the window itself.
    """
    itself = np.arange(len(evidence.windows))
    keys = [itself if evidence.duplicate_ids is None else evidence.duplicate_ids, itself]
    if groups is not None:
        keys.insert(0, np.unique(groups, return_inverse=True)[1])
    elif evidence.pieces is not None:
        keys[:0] = [evidence.pieces.number, evidence.pieces.border]
    return keys


def _add_noise(windows: np.ndarray, deviation: np.ndarray, decibels: float, random: np.random.Generator) -> np.ndarray:
    """Adds Gaussian noise to windows (N, T, C), so many decibels below the standard deviation of each channel (C,)."""
    noise = deviation / 10 ** (decibels / 20) * random.normal(size=windows.shape)
    return (windows + noise).astype(np.float32)


def _attributes(part: Any) -> dict[str, Any]:
    return {field.name: getattr(part, field.name) for field in fields(part)}
