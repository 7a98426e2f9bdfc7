"""The interface of the objectives."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

Describe = Callable[[Any], Any]  # scaled windows (B, T, S) to features (B, D), in TensorFlow operations


class TrainingSet(NamedTuple):
    """The windows that a network is trained on.

    Attributes:
        windows: float32 (N, T, S), normal windows, scaled by `ChannelScaling`.
        groups: int (N,), the subject of each window, or its part of the recording.
        rows: int (N,), the first rows of the windows; windows whose rows differ by T or more have none in common.
    """

    windows: np.ndarray
    groups: np.ndarray
    rows: np.ndarray


class Networks(NamedTuple):
    """A trained network and its twin.

    Attributes:
        trained: Computes the features by the trained network.
        untrained: Computes the features by the same network with its initial weights.
        architecture: A name that untrained networks share if they are the same for a training set and a seed.
        flops: The floating-point operations of the features of a window.
    """

    trained: Describe
    untrained: Describe
    architecture: str
    flops: float


Fit = Callable[[TrainingSet, int], Networks]  # normal windows and a seed
