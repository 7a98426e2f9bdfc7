"""The score by the nearest normal window; this project's, not the paper's."""

import math
from dataclasses import fields

import numpy as np
import tensorflow as tf

from amsl_tf import progress
from amsl_tf.errors import DataError
from amsl_tf.scoring.bank import Bank, fit_bank
from amsl_tf.scoring.base import Outputs

LOG_FLOOR = 1e-7  # added to squared errors before the logarithm


class NearestNormal:
    """How far a window is from normal training windows, beside how far these are from each other.

    There are three kinds of features: the logarithms of the errors of the R views and C channels, the latents of the R views,
    and what the sensors measure. For each kind (docs/method.md has the equations):

    - Columns are standardised by the training windows, and those shrunk that differ between a window and its nearest.
    - The distance to a window of the bank is divided by a power of the bank's spacing there: what is far where normal windows
      lie close together is more abnormal. The power is half of how far the training windows' own distances follow the spacing,
      0 with groups.
    - The logarithm of it, for the best of the nearest windows, is standardised by the training windows' own. With groups it is
      the mean of the two nearest groups': what is normal is seen in more than one.

    The score is the mean over the kinds, each weighted by the square of how far the training windows' own distances follow the
    spacing. With groups, a kind of feature that differs from group to group follows it little: it says little of new groups.

    Args:
        bank_size: Windows that are kept of each kind, at most; where there are more, those that `k_centres` chooses.
        seed: Of the choice.
        state: What `state` of a fitted scorer gave.
    """

    def __init__(self, bank_size: int = 10_000, seed: int = 0, **state: np.ndarray) -> None:
        self._bank_size, self._seed = bank_size, seed
        parts: dict[str, dict[str, np.ndarray]] = {}
        for key, value in state.items():
            kind, _, name = key.partition(".")
            parts.setdefault(kind, {})[name] = value
        self._banks = {kind: Bank(**arrays) for kind, arrays in parts.items()}

    def fit(self, outputs: Outputs, groups: np.ndarray | None = None) -> np.ndarray:
        _, numbers = np.unique(np.zeros(len(outputs.error)) if groups is None else groups, return_inverse=True)
        if groups is not None and not numbers.any():
            raise DataError(f"the nearest-normal score needs windows of at least two groups. Received: only {groups[0]}.")
        features, fitted = _features(outputs), {}
        with progress.bar(len(features), "choosing normal windows to keep", "kinds of features") as bar:
            for kind, values in features.items():
                fitted[kind] = fit_bank(values.numpy(), numbers, self._bank_size, self._seed)
                bar.update(1)
        self._banks = {kind: bank for kind, (bank, _) in fitted.items()}
        return self._mean({kind: scores for kind, (_, scores) in fitted.items()}).numpy()

    def score(self, outputs: Outputs) -> tf.Tensor:
        return self._mean(self.ratings(outputs))

    def ratings(self, outputs: Outputs) -> dict[str, tf.Tensor]:
        """What the score is the weighted mean of, float64 (N,) by kind of features."""
        return {kind: self._banks[kind].score(features) for kind, features in _features(outputs).items()}

    def nearest(self, outputs: Outputs) -> tf.Tensor:
        """The window of the bank nearest to each window, by the kind that has the most say: its position in training, (N,)."""
        kind = max(self._banks, key=lambda kind: float(self._banks[kind].weight))
        return self._banks[kind].nearest(_features(outputs)[kind])

    @property
    def usual_error(self) -> np.ndarray:
        """The geometric mean of the training windows' squared errors + `LOG_FLOOR`, by view and channel: (R * C,)."""
        return np.exp(self._banks["error"].mean)

    @property
    def weights(self) -> dict[str, float]:
        """Of the kinds of features, after `fit`; they need not sum to 1."""
        return {kind: float(bank.weight) for kind, bank in self._banks.items()}

    def state(self) -> dict[str, np.ndarray]:
        return {
            f"{kind}.{field.name}": getattr(bank, field.name) for kind, bank in self._banks.items() for field in fields(bank)
        }

    def _mean(self, ratings: dict[str, tf.Tensor]) -> tf.Tensor:
        weights = {kind: tf.convert_to_tensor(self._banks[kind].weight) for kind in ratings}
        total = tf.add_n([weights[kind] * rating for kind, rating in ratings.items()])
        return tf.cast(total / tf.add_n(list(weights.values())), tf.float32)


def _features(outputs: Outputs) -> dict[str, tf.Tensor]:
    """The features by kind, float64 (N, D)."""
    error, latent, signal = (tf.reshape(tf.cast(part, tf.float64), (-1, math.prod(part.shape[1:]))) for part in outputs)
    return {"error": tf.math.log(error + LOG_FLOOR), "latent": latent, "signal": signal}
