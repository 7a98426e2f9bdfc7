"""What scorers see, and what they have in common."""

from typing import NamedTuple, Protocol

import numpy as np
import tensorflow as tf


class Outputs(NamedTuple):
    """What scorers see of N windows with R views of C channels, as tensors or arrays.

    Attributes:
        error: float32 (N, R, C), the squared error of the reconstruction, averaged over time.
        latent: float32 (N, R, F), the encoder's output, averaged over positions.
        signal: float32 (N, D), what the sensors measure, as `describe_signal` has it.
    """

    error: np.ndarray
    latent: np.ndarray
    signal: np.ndarray


class Scorer(Protocol):
    """Turns outputs of the network into scores. `fit` must come first; a fitted scorer is made again by `Scorer(**state())`.

    Scores are TensorFlow operations, so that they stand in one graph with the network wherever that is run.
    """

    def fit(self, outputs: Outputs, groups: np.ndarray | None = None) -> np.ndarray:
        """Fits the scorer to normal training windows and returns their own scores (N,).

        Each window is left out of what its own score is compared with, or all windows of its group where groups are given; the
        network has been trained on them all the same.
        """
        ...

    def score(self, outputs: Outputs) -> tf.Tensor:
        """Scores of new windows, float32 (N,)."""
        ...

    def state(self) -> dict[str, np.ndarray]:
        """What was fitted, as arrays by the names of the constructor's arguments."""
        ...
