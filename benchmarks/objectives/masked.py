"""The objective `masked`: the reconstruction of masked parts of a window, from the rest of it.

In each window a quarter of the time steps is masked in half of the sensors, and a seventh of the sensors altogether. Masked
values are 0, the mean; a linear layer reconstructs them from the maps of the encoder.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from benchmarks.objectives.encoder import FILTERS, draw, fit_encoder
from benchmarks.objectives.interface import Networks, TrainingSet

BLOCK = 4  # windows are this many times as long as a masked block
IN_BLOCK, WHOLE = 1 / 2, 1 / 7  # shares of the sensors


def fit(data: TrainingSet, seed: int) -> Networks:
    """See `interface.Fit`."""
    sensors = data.windows.shape[2]
    initial = keras.initializers.GlorotUniform(seed)
    decoder = keras.Sequential([keras.Input((None, FILTERS)), layers.Dense(sensors, kernel_initializer=initial)])

    def batch(generator: np.random.Generator) -> Sequence[np.ndarray]:
        """Draws windows and masks."""
        windows = data.windows[draw(len(data.windows), generator)]
        return windows, draw_masks(windows.shape, generator)

    def loss(encoder: Any, windows: Any, masks: Any) -> Any:
        """Computes the Huber loss of masked values, which outliers of the training windows do not dominate."""
        errors = ops.abs(decoder(encoder(windows * (1 - masks))) - windows)
        losses = ops.where(errors < 1, ops.square(errors) / 2, errors - 0.5)
        return ops.sum(losses * masks) / ops.maximum(ops.sum(masks), 1.0)

    return fit_encoder(data, batch, loss, [decoder], seed)


def draw_masks(shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
    """Draws the masks of windows (B, T, S), float32: 1 where a value is masked."""
    count, steps, sensors = shape
    length = max(1, steps // BLOCK)
    start = generator.integers(0, steps - length + 1, size=(count, 1, 1))
    places = np.arange(steps)[None, :, None]
    in_block = (places >= start) & (places < start + length) & (generator.random((count, 1, sensors)) < IN_BLOCK)
    return (in_block | (generator.random((count, 1, sensors)) < WHOLE)).astype(np.float32)
