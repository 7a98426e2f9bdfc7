"""LSTM encoder-decoder (EncDec-AD: Malhotra et al., ICML workshop 2016).

The last output of an LSTM with 128 units is the input of a second LSTM at every step, which reconstructs the window in reverse
order; in the paper the decoder starts from that state and gets the step that it generated last. The score is the squared
Mahalanobis distance of the errors of a time step, averaged over steps, with the mean and covariance of the errors of training
windows (in the paper: of held-out windows).
"""

import keras
import numpy as np

from benchmarks.baselines.networks import ErrorScore, network

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


def mahalanobis(normal: np.ndarray) -> ErrorScore:
    """Fits the score of errors (V, T, C)."""
    steps = normal.reshape(-1, normal.shape[2])
    mean = steps.mean(axis=0)
    inverse = np.linalg.inv(np.cov(steps.T) + RIDGE * np.eye(len(mean)))
    return lambda errors: np.einsum("ntc,cd,ntd->n", errors - mean, inverse, errors - mean, optimize=True) / errors.shape[1]


fit = network(build, targets=lambda x: x[:, ::-1], fit_score=mahalanobis)
