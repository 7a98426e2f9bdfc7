"""The objective `mutual`: contrastive, with mutual nearest windows of different groups as partners.

Two windows are partners if each is the nearest one in the group of the other, by the features of the ensemble, and they have no
row in common. What differs between them is what differs between groups, such as subjects, and the network is to ignore it.
"""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
import tensorflow as tf
from sklearn.metrics import pairwise_distances
from sklearn.preprocessing import StandardScaler

from amsl_tf.config import ENSEMBLE
from amsl_tf.errors import DataError
from amsl_tf.scoring.ensemble import MEMBERS
from benchmarks.objectives.encoder import FILTERS, UNITS, build_head, contrastive_loss, draw, embed, fit_encoder
from benchmarks.objectives.interface import Networks, TrainingSet

TINY = 1e-9  # added to distances: those of equal windows are 0


def fit(data: TrainingSet, seed: int) -> Networks:
    """See `interface.Fit`. Raises DataError if no windows are partners."""
    distances = ensemble_distances(data.windows, seed)
    distances[np.abs(data.rows[:, None] - data.rows) < data.windows.shape[1]] = np.inf
    pairs = mutual_pairs(distances, data.groups)
    if not len(pairs):
        raise DataError(f"expected mutual nearest windows in different groups, found none among {len(data.windows)} windows.")
    projection = build_head(2 * FILTERS, UNITS, seed + 1)

    def batch(generator: np.random.Generator) -> Sequence[np.ndarray]:
        """Draws windows and their partners."""
        first, second = pairs[draw(len(pairs), generator)].T
        return data.windows[first], data.windows[second]

    def loss(encoder: Any, windows: Any, partners: Any) -> Any:
        return contrastive_loss(projection(embed(encoder, windows)), projection(embed(encoder, partners)))

    return fit_encoder(data, batch, loss, [projection], seed)


def ensemble_distances(windows: np.ndarray, seed: int) -> np.ndarray:
    """Computes the sum of the logarithms of the distances between windows (N, T, S) by each member, float64 (N, N)."""
    total = np.zeros((len(windows), len(windows)))
    for name in ENSEMBLE:
        member = MEMBERS[name]()
        member.prepare(windows, seed)
        features = member.describe(tf.constant(windows)).numpy()
        total += np.log(pairwise_distances(StandardScaler().fit_transform(features)) + TINY)
    return total


def mutual_pairs(distances: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Finds the pairs of windows of which each is the nearest one in the group of the other.

    Args:
        distances: (N, N); windows at an infinite distance are no partners.
        groups: (N,).

    Returns:
        The positions of the windows of each pair, int (K, 2).
    """
    pairs = [np.zeros((0, 2), int)]
    for one, other in combinations(np.unique(groups), 2):
        ours, theirs = np.flatnonzero(groups == one), np.flatnonzero(groups == other)
        between = distances[np.ix_(ours, theirs)]
        nearest, back = between.argmin(axis=1), between.argmin(axis=0)
        places = np.arange(len(ours))
        is_mutual = (back[nearest] == places) & np.isfinite(between[places, nearest])
        pairs.append(np.stack([ours[is_mutual], theirs[nearest[is_mutual]]], axis=1))
    return np.concatenate(pairs)
