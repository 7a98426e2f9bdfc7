"""What the detectors of the package pyod have in common."""

from collections.abc import Callable

import numpy as np
from pyod.models.base import BaseDetector

from benchmarks.baselines.interface import Score
from benchmarks.baselines.on_features import Method


def method(make: Callable[[], BaseDetector]) -> Method:
    """The method of detectors that `make` makes; their own threshold is not used."""

    def fit(normal: np.ndarray) -> Score:
        score: Score = make().fit(normal).decision_function
        return score

    return fit
