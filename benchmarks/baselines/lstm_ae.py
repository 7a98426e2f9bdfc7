"""LSTM encoder and decoder (Malhotra et al., ICML workshop 2016, EncDec-AD).

The last state of an LSTM of 128 is given to a second one at every step, which gives the window back, the last step first; the
paper's starts from that state and gets the step that it gave last. A window's score is the mean squared Mahalanobis distance of
its steps' errors from those of the training windows, in the paper from those of windows that are held back.
"""

import keras
import numpy as np

from benchmarks.baselines.networks import Rate, network

UNITS = 128
RIDGE = 1e-6  # on the diagonal of the covariance


def build(shape: tuple[int, int]) -> keras.Model:
    steps, channels = shape
    return keras.Sequential(
        [
            keras.Input(shape),
            keras.layers.LSTM(UNITS),
            keras.layers.RepeatVector(steps),
            keras.layers.LSTM(UNITS, return_sequences=True),
            keras.layers.Dense(channels),
        ]
    )


def mahalanobis(normal: np.ndarray) -> Rate:
    """Fitted to errors (V, T, C)."""
    steps = normal.reshape(-1, normal.shape[2])
    mean = steps.mean(axis=0)
    inverse = np.linalg.inv(np.cov(steps.T) + RIDGE * np.eye(len(mean)))
    return lambda errors: np.einsum("ntc,cd,ntd->n", errors - mean, inverse, errors - mean, optimize=True) / errors.shape[1]


fit = network(build, targets=lambda x: x[:, ::-1], fit_rate=mahalanobis)
