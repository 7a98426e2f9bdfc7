"""MSCRED (Zhang et al., AAAI 2019): reconstructs signature matrices with ConvLSTMs and temporal attention.

A signature matrix holds the inner products of all pairs of channels over 10, 30 or 60 time steps. There are five of them, 10
steps apart, the last at the end of the window. Each of four convolutions is followed by a ConvLSTM over the five times and
attention over its outputs, and transposed convolutions reconstruct the last matrices. Times and kernels are those of the code
of the authors, filters a quarter of theirs: 8, 16, 32 and 64. The score is the mean squared residual; the paper counts the
entries above a threshold.
"""

from typing import Any

import keras
import numpy as np
from keras import layers, ops

from benchmarks.baselines.networks import network

LENGTHS = (10, 30, 60)  # steps
TIMES, GAP = 5, 10
FEATURES = (8, 16, 32, 64)
KERNELS = (3, 3, 2, 2)
MEMORY_KERNEL = 2
TEMPERATURE = 5.0  # chi, the divisor of the attention logits


def signatures(x: np.ndarray, times: int = TIMES) -> np.ndarray:
    """Computes the signature matrices of windows, (N, T, C) to (N, times, C, C, 3), as means over time steps."""
    ends = [x.shape[1] - GAP * back for back in reversed(range(times))]
    parts = [[_products(x[:, max(end - length, 0) : end]) for length in LENGTHS] for end in ends]
    return np.stack([np.stack(matrices, axis=-1) for matrices in parts], axis=1)


def _products(x: np.ndarray) -> np.ndarray:
    products: np.ndarray = x.transpose(0, 2, 1) @ x / x.shape[1]
    return products


def build(shape: tuple[int, int]) -> keras.Model:
    matrices = keras.Input((TIMES, shape[1], shape[1], len(LENGTHS)))
    encoded, states_by_level = matrices, []
    for level, (features, kernel) in enumerate(zip(FEATURES, KERNELS, strict=True)):
        convolution = layers.Conv2D(features, kernel, 1 if level == 0 else 2, padding="same", activation="selu")
        encoded = layers.TimeDistributed(convolution)(encoded)
        states = layers.ConvLSTM2D(features, MEMORY_KERNEL, padding="same", return_sequences=True)(encoded)
        states_by_level.append(attend(states))
    decoded = states_by_level[-1]
    for state, kernel in zip(states_by_level[-2::-1], KERNELS[:0:-1], strict=True):
        decoded = layers.Conv2DTranspose(state.shape[3], kernel, 2, padding="same", activation="selu")(decoded)
        decoded = ops.concatenate([decoded[:, : state.shape[1], : state.shape[2]], state], axis=-1)
    return keras.Model(matrices, layers.Conv2D(len(LENGTHS), 3, padding="same")(decoded))


def attend(states: Any) -> Any:
    """Averages states (B, 5, H, W, F) with attention weights from their similarity to the last one, to (B, H, W, F)."""
    products = ops.sum(states * states[:, -1:], axis=(2, 3, 4)) / TEMPERATURE
    return ops.sum(states * ops.softmax(products)[:, :, None, None, None], axis=1)


fit = network(build, inputs=signatures, targets=lambda x: signatures(x, 1)[:, 0])
