"""The objective `augmented`: contrastive, with a window with other noise and other gains of its sensors as the partner."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.objectives.encoder import FILTERS, UNITS, build_head, contrastive_loss, draw, embed, fit_encoder
from benchmarks.objectives.interface import Networks, TrainingSet

NOISE = 0.3  # the largest standard deviation; that of a sensor is 1
GAIN = 0.2  # the standard deviation of the logarithm of the gain of a sensor


def fit(data: TrainingSet, seed: int) -> Networks:
    """See `interface.Fit`."""
    projection = build_head(2 * FILTERS, UNITS, seed + 1)

    def batch(generator: np.random.Generator) -> Sequence[np.ndarray]:
        """Draws windows, each with two augmentations."""
        windows = data.windows[draw(len(data.windows), generator)]
        return augment(windows, generator), augment(windows, generator)

    def loss(encoder: Any, windows: Any, partners: Any) -> Any:
        return contrastive_loss(projection(embed(encoder, windows)), projection(embed(encoder, partners)))

    return fit_encoder(data, batch, loss, [projection], seed)


def augment(windows: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Multiplies each sensor of windows (B, T, S) by a random gain, and adds noise, of another strength in each window."""
    count, _, sensors = windows.shape
    gain = np.exp(GAIN * generator.normal(size=(count, 1, sensors)))
    noise = NOISE * generator.random((count, 1, 1)) * generator.normal(size=windows.shape)
    return (gain * windows + noise).astype(np.float32)
