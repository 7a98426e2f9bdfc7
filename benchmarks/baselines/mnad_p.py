"""MNAD-P (Park et al., CVPR 2020): predicts the last fifth of a window from the first four, through a memory.

Four frames, as channels of one image, pass through two convolutions with stride 2 (32 and 64 filters), the memory of MNAD
(`PrototypeMemory`, 10 items; weights 0.1 for compactness and separateness, as in the paper) and two transposed convolutions,
with a skip connection from the first convolution to the second transposed one. The score is the prediction error; the paper
adds the distance to the items, and updates them during testing. (MNAD-R, which reconstructs windows, is the network `mnad`.)
"""

from typing import Any

import keras
import numpy as np
from keras import layers, ops

from amsl_tf.networks.layers import PrototypeMemory
from benchmarks.baselines.networks import frames, network

FEATURES = (32, 64)
ITEMS = 10
WEIGHT = 0.1  # of compactness and of separateness


def build(shape: tuple[int, int]) -> keras.Model:
    images = keras.Input((shape[0] // 5, shape[1], 4))
    outer = layers.Conv2D(FEATURES[0], 3, 2, padding="same", activation="relu")(images)
    inner = layers.Conv2D(FEATURES[1], 3, 2, padding="same", activation="relu")(outer)
    read, *terms = PrototypeMemory(ITEMS)(inner)
    decoded = layers.Conv2DTranspose(FEATURES[0], 3, 2, padding="same", activation="relu")(AddLosses()([read, *terms]))
    decoded = ops.concatenate([decoded[:, : outer.shape[1], : outer.shape[2]], outer], axis=-1)
    decoded = layers.Conv2DTranspose(1, 3, 2, padding="same")(decoded)
    return keras.Model(images, decoded[:, : images.shape[1], : images.shape[2], 0])


class AddLosses(layers.Layer):
    """Returns the read of the memory and adds its terms to the loss."""

    def call(self, values: list[Any]) -> Any:
        read, *terms = values
        for term in terms:
            self.add_loss(WEIGHT * ops.mean(term))
        return read


def inputs(x: np.ndarray) -> np.ndarray:
    """Returns the first four frames as channels, (N, T // 5, C, 4)."""
    return np.moveaxis(frames(x)[:, :4, ..., 0], 1, -1)


fit = network(build, inputs=inputs, targets=lambda x: frames(x)[:, 4, ..., 0])
