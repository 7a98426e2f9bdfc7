"""The interface of the baselines."""

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Protocol

import numpy as np

from amsl_tf.data import splits
from benchmarks.packages import installed_packages

Score = Callable[[np.ndarray], np.ndarray]  # windows (M, T, C) or features (M, D) to scores (M,); higher = more abnormal


@dataclass(frozen=True)
class NormalData:
    """Normal training windows and their metadata.

    Attributes:
        x: float32 (N, T, C), the windows.
        activity: (N,), the activity of each window, from which pseudo-anomalies are made.
        subject: (N,), the subject of each window.
        protocol: `window`, which tests on subjects seen in training, or `subject`, which tests on unseen ones.
        seed: The seed of the split, and of the networks, the HMM and MiniRocket.
    """

    x: np.ndarray
    activity: np.ndarray
    subject: np.ndarray
    protocol: splits.Protocol
    seed: int

    @property
    def groups(self) -> np.ndarray | None:
        """The subject of each window in the protocol `subject`, otherwise None."""
        return self.subject if self.protocol == "subject" else None


@dataclass(frozen=True)
class FittedBaseline:
    """A fitted baseline.

    Attributes:
        training_scores: (V,), held-out or cross-validated scores of normal windows, which determine the threshold.
        groups: (V,), the subject of each of these windows in the protocol `subject`, otherwise None.
        score: The score of windows (M, T, C), each scored independently.
        seconds: The seconds of one fit with the selected settings.
        parameters: The number of parameters of a network; None for other methods.
        selected: What was selected without abnormal windows, such as features or epochs.
    """

    training_scores: np.ndarray
    groups: np.ndarray | None
    score: Score
    seconds: float
    parameters: int | None = None
    selected: dict[str, Any] = field(default_factory=dict)


class Fit(Protocol):
    """The function `fit` of a baseline."""

    def __call__(self, normal: NormalData) -> FittedBaseline: ...


def load(name: str) -> Fit:
    """Returns the function `fit` of a baseline.

    Raises:
        AMSLError: A package that the baseline needs is not installed.
    """
    with installed_packages(name):
        fit: Fit = import_module(f"benchmarks.baselines.{name}").fit
    return fit
