"""The interface of the peers: one type of function for all of them, whatever they score inside."""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

# recordings (rows, C) to the scores of their time steps, float64 (rows,) each; higher = more abnormal
Score = Callable[[Sequence[np.ndarray]], list[np.ndarray]]
ItemScore = Callable[[np.ndarray], np.ndarray]  # time steps (M, C) or windows (M, T, C) to scores (M,)
Method = Callable[[np.ndarray, int], ItemScore]  # normal time steps or windows, and a seed, to the score of others


class Fit(Protocol):
    """The function `fit` of a peer.

    Args:
        recordings: float32 (rows, C), normal, with standardised channels; at least one has T rows.
        window: T, the window of the data set, at least `MIN_WINDOW`.
        seed: The seed of a method that is random.

    Returns:
        The score of recordings with at least T rows, standardised likewise. The scores are finite and not normalised, and
        depend only on the training data and on the recording itself, not on others that are scored together with it.
    """

    def __call__(self, recordings: Sequence[np.ndarray], window: int, seed: int) -> Score: ...
