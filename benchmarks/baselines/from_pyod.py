"""The use of detectors of the package pyod as baselines."""

from collections.abc import Callable

import numpy as np
from pyod.models.base import BaseDetector

from benchmarks.baselines.interface import Score
from benchmarks.baselines.on_features import Method


def method(make: Callable[[], BaseDetector]) -> Method:
    """Returns the method that fits the detectors that `make` creates; their own threshold is not used."""

    def fit(normal: np.ndarray) -> Score:
        score: Score = make().fit(normal).decision_function
        return score

    return fit
