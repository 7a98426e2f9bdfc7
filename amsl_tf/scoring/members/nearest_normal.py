"""The nearest-normal score: distances by the errors and latents of a network, and by features of the signal."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np
import tensorflow as tf

from amsl_tf import progress
from amsl_tf.config import DetectorConfig
from amsl_tf.errors import DataError
from amsl_tf.scoring.attribution import ALL_SENSORS, divide, sum_by_sensor
from amsl_tf.scoring.features.signal import sensors_of
from amsl_tf.scoring.members.bank import Bank, fit_bank, warn_of_copies
from amsl_tf.scoring.members.base import Contributions, Evidence, Score


class NearestNormal(Score):
    """The distance of a window to normal training windows, relative to the distances between these.

    There are three feature groups: the logarithms of the reconstruction errors of the R views and C channels, the latents of
    the R views, and the features of the raw signal. For each of them (equations on the page The method of the documentation):

    - Columns are standardised with the training windows and weighted by their within-neighbour variance.
    - The distance to a window of the bank is divided by a power of the local density there (the k-NN distance of the bank
      window): a distance counts for more where normal windows are dense. The power is half of the slope with which the
      leave-one-out distances of the training windows follow the local density; it is 0 with groups.
    - The logarithm of the smallest relative distance is standardised with the leave-one-out values of the training windows.
      With groups it is the mean over the two nearest groups.

    The score is the mean of these standardised scores, weighted by the square of the slope: a feature group that varies
    between subjects correlates weakly with the local density, and carries little information about unseen subjects.

    Args:
        config: The settings of the detector, of which `bank_size` and `training.seed` are used.
    """

    features = ("error", "latent", "signal")
    has_nearest = True
    has_contributions = True

    def __init__(self, config: DetectorConfig) -> None:
        super().__init__(config)
        self._banks: dict[str, Bank] = {}

    def fit(self, evidence: Evidence, groups: np.ndarray | None = None) -> np.ndarray:
        """Fits a bank for each feature group; see `Score.fit`.

        Raises:
            DataError: `groups` has a single value.
        """
        values = {name: np.asarray(evidence.features[name], np.float64) for name in self.features}
        count = len(next(iter(values.values())))
        if groups is None and evidence.pieces is not None:
            groups = evidence.pieces.number
        _, numbers = np.unique(np.zeros(count) if groups is None else groups, return_inverse=True)
        if groups is not None and not numbers.any():
            raise DataError(f"groups must have at least two values for the nearest-normal score. Received: only {groups[0]}.")
        fitted = {}
        with progress.bar(len(values), "selecting the bank", "feature groups") as bar:
            for name, columns in values.items():
                size, seed = self.config.bank_size, self.config.training.seed
                fitted[name] = fit_bank(columns, numbers, size, seed, evidence.duplicate_ids)
                bar.update(1)
        copies = min(result.copies for result in fitted.values())  # a copy is close in every feature group
        if groups is None:
            warn_of_copies(copies)
        self._banks = {name: result.bank for name, result in fitted.items()}
        return self._mean({name: result.scores for name, result in fitted.items()}).numpy()

    def score(self, evidence: Evidence) -> tf.Tensor:
        """Computes the weighted mean of the standardised scores of the feature groups, float32 (N,)."""
        return self._mean(self.member_scores(evidence))

    def member_scores(self, evidence: Evidence) -> dict[str, tf.Tensor]:
        """Computes the standardised score of each feature group, float64 (N,) by name."""
        return {name: self._banks[name].score(tf.cast(evidence.features[name], tf.float64)) for name in self.features}

    def nearest(self, evidence: Evidence) -> tf.Tensor:
        """Returns the training position of the nearest bank window by the feature group with the largest weight, int64 (N,)."""
        with tf.init_scope():  # values, also of the variables of an exported model
            name = max(self._banks, key=lambda name: float(self._banks[name].weight))
        return self._banks[name].nearest(tf.cast(evidence.features[name], tf.float64))

    @property
    def members(self) -> tuple[str, ...]:
        """The names of the feature groups."""
        return self.features

    def contributions(self, evidence: Evidence) -> Contributions:
        """Divides the score among the feature groups, the sensors and the time steps.

        The amounts are the parts of sensors in the distances, where latents and correlations count for all sensors alike, and
        the reconstruction errors of time steps. See `divide`.
        """
        channels = evidence.windows.shape[2]
        count = channels // self.config.axes
        scores, by_sensor = self.member_scores(evidence), {}
        for name, value in scores.items():
            parts = self._banks[name].parts(tf.cast(evidence.features[name], tf.float64))
            sensors = np.full(parts.shape[1], ALL_SENSORS, np.int32)
            if name == "error":
                sensors = np.arange(len(sensors), dtype=np.int32) % channels // self.config.axes
            elif name == "signal":
                sensors = sensors_of(len(sensors), count)
            by_sensor[name] = divide(value, sum_by_sensor(parts, sensors, count))
        members = tf.stack(list(self._weigh(scores).values()), axis=1)
        channels = tf.add_n(list(self._weigh(by_sensor).values()))
        time = divide(self._mean(scores), evidence.time_error)
        return Contributions(tf.cast(members, tf.float32), tf.cast(channels, tf.float32), time)

    @property
    def weights(self) -> dict[str, float]:
        """The weights of the feature groups after `fit`; they need not sum to 1."""
        return {name: float(bank.weight) for name, bank in self._banks.items()}

    def state(self) -> dict[str, np.ndarray]:
        """Returns the attributes of each `Bank`, as `FEATURE.ATTRIBUTE`."""
        return {
            f"{name}.{field.name}": getattr(bank, field.name) for name, bank in self._banks.items() for field in fields(bank)
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Sets the banks from the result of `state`, as arrays or TensorFlow variables."""
        parts: dict[str, dict[str, Any]] = {}
        for key, value in state.items():
            feature, _, name = key.partition(".")
            parts.setdefault(feature, {})[name] = value
        self._banks = {feature: Bank(**arrays) for feature, arrays in parts.items()}

    def _mean(self, scores: Mapping[str, tf.Tensor]) -> tf.Tensor:
        return tf.cast(tf.add_n(list(self._weigh(scores).values())), tf.float32)

    def _weigh(self, scores: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Multiplies the scores of feature groups, by name, by their weights relative to the sum of all weights."""
        weights = {name: tf.convert_to_tensor(self._banks[name].weight) for name in scores}
        total = tf.add_n(list(weights.values()))
        return {name: weights[name] / total * values for name, values in scores.items()}
