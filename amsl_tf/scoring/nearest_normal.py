"""The score by the nearest normal window; this project's, not the paper's."""

from dataclasses import fields

import numpy as np

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
      lie close together is more abnormal. The power is as large as the training windows' own distances follow the spacing.
    - The logarithm of it, for the best of the nearest windows, is standardised by the training windows' own. With groups it is
      the mean of the two nearest groups': what is normal is seen in more than one.

    The score is the mean over the kinds, each weighted by how far the training windows' own distances follow the spacing. With
    groups, a kind of feature that differs from group to group follows it little: it says little of new groups.

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
        scores = {}
        for kind, features in _features(outputs).items():
            self._banks[kind], scores[kind] = fit_bank(features, numbers, self._bank_size, self._seed)
        return self._mean(scores)

    def score(self, outputs: Outputs) -> np.ndarray:
        return self._mean({kind: self._banks[kind].score(features) for kind, features in _features(outputs).items()})

    def state(self) -> dict[str, np.ndarray]:
        return {
            f"{kind}.{field.name}": getattr(bank, field.name) for kind, bank in self._banks.items() for field in fields(bank)
        }

    def _mean(self, scores: dict[str, np.ndarray]) -> np.ndarray:
        weights = [self._banks[kind].weight for kind in scores]
        return np.average(list(scores.values()), axis=0, weights=weights).astype(np.float32)


def _features(outputs: Outputs) -> dict[str, np.ndarray]:
    """The features by kind, float64 (N, D)."""
    count = len(outputs.error)
    return {
        "error": np.log(outputs.error.reshape(count, -1).astype(np.float64) + LOG_FLOOR),
        "latent": outputs.latent.reshape(count, -1).astype(np.float64),
        "signal": outputs.signal.astype(np.float64),
    }
