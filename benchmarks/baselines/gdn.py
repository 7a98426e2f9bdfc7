"""Graph deviation network (Deng and Hooi, AAAI 2021): each channel is predicted from the past of those that resemble it.

Every channel has a vector of 64; its neighbours are the 15 channels with the most similar vectors. From the 15 steps before a
moment attention over the neighbours predicts the channel's value; moments lie 5 steps apart. An error's distance from the
median of training errors is divided by their interquartile range; the largest of a moment's channels count, and of a window the
mean over moments.
"""

from typing import Any

import keras
import numpy as np
from keras import layers, ops

from benchmarks.baselines.networks import Rate, network

VECTOR = 64
NEIGHBOURS = 15
PAST, GAP = 15, 5  # steps


def moments(steps: int) -> np.ndarray:
    """The steps that are predicted."""
    return np.arange(PAST, steps, GAP)


def build(shape: tuple[int, int]) -> keras.Model:
    window = keras.Input(shape)
    places = moments(shape[0])[:, None] + np.arange(-PAST, 0)
    past = ops.transpose(ops.take(window, places, axis=1), (0, 1, 3, 2))  # (B, moments, C, past)
    x = GraphAttention()(past)
    x = layers.Dense(VECTOR, activation="relu")(x)
    return keras.Model(window, layers.Dense(1)(x)[..., 0])


class GraphAttention(layers.Layer):
    """Equations 2 to 9: (B, S, C, P) to (B, S, C, 64)."""

    def build(self, shape: tuple[int | None, ...]) -> None:
        channels, past = shape[2:]
        self.vectors = self.add_weight((channels, VECTOR), "glorot_uniform", name="vectors")
        self.kernel = self.add_weight((past, VECTOR), "glorot_uniform", name="kernel")
        # the attention's vector a, by what it is multiplied with: the receiving and the giving channel
        self.receive = self.add_weight((2 * VECTOR, 1), "glorot_uniform", name="receive")
        self.give = self.add_weight((2 * VECTOR, 1), "glorot_uniform", name="give")

    def call(self, past: Any) -> Any:
        told = ops.matmul(past, self.kernel)
        known = ops.concatenate([ops.broadcast_to(self.vectors, ops.shape(told)), told], axis=-1)
        logits = ops.matmul(known, self.receive) + ops.swapaxes(ops.matmul(known, self.give), -1, -2)
        logits = ops.where(self._neighbours(), ops.leaky_relu(logits, 0.2), -1e9)
        return ops.relu(ops.matmul(ops.softmax(logits), told)) * self.vectors

    def _neighbours(self) -> Any:
        """bool (C, C): of each row's channel, and itself."""
        unit = ops.normalize(self.vectors, axis=-1)
        count = self.vectors.shape[0]
        similar = ops.matmul(unit, ops.transpose(unit)) + 2 * ops.eye(count)  # itself first
        least = ops.top_k(similar, min(NEIGHBOURS + 1, count))[0][:, -1:]
        return similar >= least


def deviation(normal: np.ndarray) -> Rate:
    """Fitted to errors (V, S, C), equations 11 to 13."""
    low, median, high = np.percentile(np.abs(normal), (25, 50, 75), axis=(0, 1))
    return lambda errors: ((np.abs(errors) - median) / (high - low + 1e-6)).max(axis=2).mean(axis=1)


fit = network(build, targets=lambda x: x[:, moments(x.shape[1])], fit_rate=deviation)
