"""Random scores of time steps: the level of chance, which is high where most of a recording is abnormal."""

from collections.abc import Sequence

import numpy as np

from benchmarks.peers.interface import Score


def fit(recordings: Sequence[np.ndarray], window: int, seed: int) -> Score:
    """See `interface.Fit`."""
    return lambda others: [np.random.default_rng(seed).random(len(recording)) for recording in others]
