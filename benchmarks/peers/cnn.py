"""CNN that forecasts the next time step (DeepAnT: Munir et al., IEEE Access 2019); settings of TSB-AD.

Three convolutions (32, 32 and 40 filters, length 3), each with pooling by 2, see the previous 50 time steps; mean and maximum
over time, a dense layer with 40 units and dropout of 0.25 lead to the forecast. The learning rate is 0.0008, less a quarter
every 5 epochs. The score is the mean squared error of the forecast. Differences from TSB-AD: at most 10,000 training windows;
padded convolutions, as a short window of the data set shortens the past; the first time steps, without enough past, have the
score of the first forecast.
"""

from collections.abc import Sequence
from functools import partial

import keras
import numpy as np
from keras import layers, ops

from benchmarks.baselines.networks import mean_square
from benchmarks.peers.adaptors import MAX_ITEMS, score_steps, training_windows
from benchmarks.peers.interface import Score
from benchmarks.peers.networks import train

PAST = 50  # time steps
FILTERS = (32, 32, 40)
KERNEL = 3
DROPOUT = 0.25
LEARNING_RATE = 8e-4


def build(past: int, channels: int) -> keras.Model:
    """Builds the network, (B, past, C) to (B, C)."""
    window = keras.Input((past, channels))
    x = window
    for filters in FILTERS:
        x = layers.Conv1D(filters, KERNEL, padding="same", activation="relu")(x)
        x = layers.MaxPooling1D(2, padding="same")(x)
    x = ops.concatenate([layers.GlobalAveragePooling1D()(x), layers.GlobalMaxPooling1D()(x)], axis=-1)
    x = layers.Dropout(DROPOUT)(layers.Dense(FILTERS[-1], activation="relu")(x))
    return keras.Model(window, layers.Dense(channels)(x))


def fit(recordings: Sequence[np.ndarray], window: int, seed: int) -> Score:
    """See `interface.Fit`."""
    past = min(PAST, window - 1)
    windows = training_windows(recordings, past + 1, MAX_ITEMS)
    model = train(
        partial(build, past, windows.shape[2]),
        windows[:, :-1],
        windows[:, -1],
        seed,
        lambda epoch: LEARNING_RATE * 0.75 ** (epoch // 5),
    )

    def score(others: np.ndarray) -> np.ndarray:
        return mean_square(others[:, -1] - model.predict(others[:, :-1], batch_size=len(others), verbose=0))

    return lambda others: score_steps(score, others, past + 1, stride=1, covered=1)
