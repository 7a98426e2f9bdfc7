"""The ensemble score: several kinds of features, without a network."""

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

import numpy as np
import tensorflow as tf

from amsl_tf import progress
from amsl_tf.config import DetectorConfig
from amsl_tf.data.windows import chunks
from amsl_tf.errors import DataError
from amsl_tf.scoring.ensemble import BANK, CHANNELS, MEMBERS
from amsl_tf.scoring.ensemble.channels import ChannelScaling
from amsl_tf.scoring.ensemble.member import Member
from amsl_tf.scoring.ensemble.neighbours import Neighbours
from amsl_tf.scoring.members.bank import excluded, warn_of_copies
from amsl_tf.scoring.members.base import Evidence, Score

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
        self._rows = rows = np.tile(kept, 1 + len(noisy))
        total, weights, copies = np.zeros(len(x)), 0.0, []
        with progress.bar(len(self._members), "fitting the ensemble", "members") as bar:
            for name, member in self._members.items():
                member.prepare(scaled, seed)
                described = np.concatenate(
                    [features for part in (sample, *noisy) for _, features in self._describe(member, part)]
                )
                self._neighbours[name] = neighbours = Neighbours.fit(described)
                if groups is None and evidence.pieces is None:
                    copies.append(neighbours.set_density(keys[0][kept]))
                distances = []
                for start, features in chunks(described[: len(x)]) if len(kept) == len(x) else self._describe(member, x):
                    places = slice(start, start + len(features))
                    pairs = excluded([key[places, None] == key[rows] for key in keys])
                    distances.append(neighbours.distances(tf.constant(features), pairs).numpy())
                neighbours.set_floor(np.concatenate(distances))
                values = np.log(np.maximum(np.concatenate(distances), neighbours.floor))
                offset = np.median(values)
                spread = max(np.quantile(values, QUANTILE) - offset, MIN_SPREAD)
                weight = 1.0 if groups is None else spread**-2
                self._offsets[name], self._weights[name] = np.float32(offset), np.float32(weight)
                total, weights = total + weight * (values - offset), weights + weight
                neighbours.to_tensors()
                bar.update(1)
        warn_of_copies(min(copies, default=0.0))  # a copy is close by the features of every member
        return (total / weights).astype(np.float32)

    def score(self, evidence: Evidence) -> tf.Tensor:
        """Computes the weighted mean of the values of the members, float32 (N,)."""
        weights = [tf.convert_to_tensor(self._weights[name]) for name in self._members]
        values = self.member_values(evidence)
        total = tf.add_n([weight * values[name] for weight, name in zip(weights, self._members, strict=True)])
        return total / tf.add_n(weights)

    def member_values(self, evidence: Evidence) -> dict[str, tf.Tensor]:
        """Computes the value of each member, float32 (N,) by name."""
        scaled, values = self._channels(evidence.windows), {}
        for name, member in self._members.items():
            neighbours = self._neighbours[name]
            distances = neighbours.distances(member.describe(scaled))
            values[name] = tf.math.log(tf.maximum(distances, neighbours.floor)) - self._offsets[name]
        return values

    def nearest(self, evidence: Evidence) -> tf.Tensor:
        """Returns the training position of the nearest window of the bank by the weighted mean of all members, int64 (N,)."""
        scaled = self._channels(evidence.windows)
        distances = [
            self._weights[name] * self._neighbours[name].log_distances(member.describe(scaled))
            for name, member in self._members.items()
        ]
        return tf.cast(tf.gather(self._rows, tf.argmin(tf.add_n(distances), axis=1)), tf.int64)

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
