"""Graph deviation network (GDN: Deng and Hooi, AAAI 2021): predicts each channel from the past of similar channels.

Every channel has an embedding of 64 numbers; its neighbours are the 15 channels with the most similar embeddings. Graph
attention over the neighbours predicts the value of a channel from the 15 previous time steps, every 5 steps. Absolute errors
are standardised by the median and the interquartile range of training errors. The score is the maximum over channels, averaged
over the predicted steps.
"""

from typing import Any

import keras
import numpy as np
from keras import layers, ops

from benchmarks.baselines.networks import ErrorScore, network

EMBEDDING = 64
NEIGHBOURS = 15
PAST, GAP = 15, 5  # steps


def predicted_steps(steps: int) -> np.ndarray:
    """Returns the predicted time steps."""
    return np.arange(PAST, steps, GAP)


def build(shape: tuple[int, int]) -> keras.Model:
    window = keras.Input(shape)
    places = predicted_steps(shape[0])[:, None] + np.arange(-PAST, 0)
    past = ops.transpose(ops.take(window, places, axis=1), (0, 1, 3, 2))  # (B, S, C, P)
    x = GraphAttention()(past)
    x = layers.Dense(EMBEDDING, activation="relu")(x)
    return keras.Model(window, layers.Dense(1)(x)[..., 0])


class GraphAttention(layers.Layer):
    """Graph attention, equations 2 to 9: (B, S, C, P) to (B, S, C, 64), for S predicted steps and P previous steps."""

    def build(self, shape: tuple[int | None, ...]) -> None:
        channels, past = shape[2:]
        self.embeddings = self.add_weight((channels, EMBEDDING), "glorot_uniform", name="embeddings")
        self.kernel = self.add_weight((past, EMBEDDING), "glorot_uniform", name="kernel")
        # the attention vector a, split into its parts for the receiving and for the sending channel
        self.receive = self.add_weight((2 * EMBEDDING, 1), "glorot_uniform", name="receive")
        self.send = self.add_weight((2 * EMBEDDING, 1), "glorot_uniform", name="send")

    def call(self, past: Any) -> Any:
        projected = ops.matmul(past, self.kernel)
        combined = ops.concatenate([ops.broadcast_to(self.embeddings, ops.shape(projected)), projected], axis=-1)
        logits = ops.matmul(combined, self.receive) + ops.swapaxes(ops.matmul(combined, self.send), -1, -2)
        logits = ops.where(self._neighbours(), ops.leaky_relu(logits, 0.2), -1e9)
        return ops.relu(ops.matmul(ops.softmax(logits), projected)) * self.embeddings

    def _neighbours(self) -> Any:
        """Returns which channels are neighbours of the channel of each row, itself included, bool (C, C)."""
        unit = ops.normalize(self.embeddings, axis=-1)
        count = self.embeddings.shape[0]
        similar = ops.matmul(unit, ops.transpose(unit)) + 2 * ops.eye(count)  # itself first
        least = ops.top_k(similar, min(NEIGHBOURS + 1, count))[0][:, -1:]
        return similar >= least


def deviation(normal: np.ndarray) -> ErrorScore:
    """Fits the score of errors (V, S, C), equations 11 to 13."""
    low, median, high = np.percentile(np.abs(normal), (25, 50, 75), axis=(0, 1))
    return lambda errors: ((np.abs(errors) - median) / (high - low + 1e-6)).max(axis=2).mean(axis=1)


fit = network(build, targets=lambda x: x[:, predicted_steps(x.shape[1])], fit_score=deviation)
