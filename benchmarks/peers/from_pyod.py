"""The use of detectors of the package pyod as peers."""

from collections.abc import Callable

import numpy as np
from pyod.models.base import BaseDetector
from pyod.models.knn import KNN

from benchmarks.baselines import from_pyod
from benchmarks.peers.interface import ItemScore, Method


def seeded(make: Callable[[int], BaseDetector]) -> Method:
    """Returns the method that fits the detectors that `make` creates with a seed."""
    return lambda normal, seed: from_pyod.method(lambda: make(seed))(normal)


def neighbours(make: Callable[[int], BaseDetector], count: int) -> Method:
    """Returns the method that fits the detectors that `make` creates with `count` neighbours, or all if there are fewer."""

    def fit(normal: np.ndarray, seed: int) -> ItemScore:
        return from_pyod.method(lambda: make(min(count, len(normal) - 1)))(normal)

    return fit


def mean_distance(count: int) -> Method:
    """Returns the method that computes the mean distance to the nearest neighbours."""
    return neighbours(lambda number: KNN(n_neighbors=number, method="mean"), count)
