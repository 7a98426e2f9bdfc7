"""MSCRED (Zhang et al., AAAI 2019): signature matrices of five moments, ConvLSTMs with attention, and the way back.

A signature matrix holds the inner products of all pairs of channels over the 10, 30 or 60 steps before a moment; moments lie
10 steps apart, the last at the window's end. Of each of four convolutions a ConvLSTM sees the five moments, attention over
time weighs what it gives, and transposed convolutions rebuild the last moment's matrices. Moments and kernels are those of the
authors' code, features a quarter of theirs: 8, 16, 32 and 64. The score is the mean square of what is not rebuilt, where the
paper counts the entries above a threshold.
"""

from typing import Any

import keras
import numpy as np
from keras import layers, ops

from benchmarks.baselines.networks import network

LENGTHS = (10, 30, 60)  # steps
MOMENTS, GAP = 5, 10
FEATURES = (8, 16, 32, 64)
KERNELS = (3, 3, 2, 2)
MEMORY_KERNEL = 2
TEMPERATURE = 5.0  # chi, which the attention's products are divided by


def signatures(x: np.ndarray, moments: int = MOMENTS) -> np.ndarray:
    """Windows (N, T, C) to matrices of the last moments (N, moments, C, C, 3), each a mean of products over its steps."""
    ends = [x.shape[1] - GAP * back for back in reversed(range(moments))]
    parts = [[_products(x[:, max(end - length, 0) : end]) for length in LENGTHS] for end in ends]
    return np.stack([np.stack(moment, axis=-1) for moment in parts], axis=1)


def _products(x: np.ndarray) -> np.ndarray:
    products: np.ndarray = x.transpose(0, 2, 1) @ x / x.shape[1]
    return products


def build(shape: tuple[int, int]) -> keras.Model:
    matrices = keras.Input((MOMENTS, shape[1], shape[1], len(LENGTHS)))
    seen, remembered = matrices, []
    for level, (features, kernel) in enumerate(zip(FEATURES, KERNELS, strict=True)):
        convolution = layers.Conv2D(features, kernel, 1 if level == 0 else 2, padding="same", activation="selu")
        seen = layers.TimeDistributed(convolution)(seen)
        states = layers.ConvLSTM2D(features, MEMORY_KERNEL, padding="same", return_sequences=True)(seen)
        remembered.append(attend(states))
    rebuilt = remembered[-1]
    for state, kernel in zip(remembered[-2::-1], KERNELS[:0:-1], strict=True):
        rebuilt = layers.Conv2DTranspose(state.shape[3], kernel, 2, padding="same", activation="selu")(rebuilt)
        rebuilt = ops.concatenate([rebuilt[:, : state.shape[1], : state.shape[2]], state], axis=-1)
    return keras.Model(matrices, layers.Conv2D(len(LENGTHS), 3, padding="same")(rebuilt))


def attend(states: Any) -> Any:
    """Weighs the states of all moments (B, 5, H, W, F) by their products with the last one's, (B, H, W, F)."""
    products = ops.sum(states * states[:, -1:], axis=(2, 3, 4)) / TEMPERATURE
    return ops.sum(states * ops.softmax(products)[:, :, None, None, None], axis=1)


fit = network(build, inputs=signatures, targets=lambda x: signatures(x, 1)[:, 0])
