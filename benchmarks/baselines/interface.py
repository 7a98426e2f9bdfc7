"""What every baseline keeps to."""

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Protocol

import numpy as np

from amsl_tf.data import splits
from amsl_tf.errors import AMSLError

# packages that are not in requirements.txt, and what pip installs them by; torch, which is large, is for one baseline alone
INSTALL = {**dict.fromkeys(("aeon", "hmmlearn", "pyod"), "-r requirements-baselines.txt"), "torch": "torch"}

Score = Callable[[np.ndarray], np.ndarray]  # of windows (M, T, C), or features of them (M, D): (M,), higher = more abnormal


@dataclass(frozen=True)
class Normal:
    """Normal training windows and what is known of them.

    Attributes:
        x: float32 (N, T, C).
        activity: (N,), what pseudo-anomalies are made of.
        subject: (N,), the person.
        protocol: `window`, where people are known, or `subject`, where those who are tested are new.
        seed: Of the split, and of what networks, the HMM and MiniRocket draw.
    """

    x: np.ndarray
    activity: np.ndarray
    subject: np.ndarray
    protocol: splits.Protocol
    seed: int

    @property
    def groups(self) -> np.ndarray | None:
        """The person of each window where people are left out whole, else None."""
        return self.subject if self.protocol == "subject" else None


@dataclass(frozen=True)
class Fitted:
    """A fitted baseline.

    Attributes:
        own: Scores of normal windows that the baseline, or one like it, was not fitted to: what the threshold is set by.
        groups: The person of each of these, in the protocol `subject`.
        score: Scores windows (M, T, C), each for itself.
        seconds: That one fit took, with the settings that were chosen.
        parameters: Numbers that a network has learned; None for what is no network.
        about: What was chosen without abnormal windows, such as features, and how long was trained.
    """

    own: np.ndarray
    groups: np.ndarray | None
    score: Score
    seconds: float
    parameters: int | None = None
    about: dict[str, Any] = field(default_factory=dict)


class Fit(Protocol):
    """What every file of this folder has under the name `fit`."""

    def __call__(self, normal: Normal) -> Fitted: ...


def load(name: str) -> Fit:
    """The `fit` of the file of this name.

    Raises:
        AMSLError: A package that it needs is not installed.
    """
    try:
        fit: Fit = import_module(f"benchmarks.baselines.{name}").fit
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in INSTALL:
            raise
        raise AMSLError(f"{name} needs {package}, which is not installed. Run: pip install {INSTALL[package]}") from None
    return fit
