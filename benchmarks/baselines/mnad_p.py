"""MNAD-P (Park et al., CVPR 2020), which predicts the last fifth of a window from the four before, with a memory in between.

Four frames, as channels of one picture, go through two convolutions with stride 2 (32 and 64 features), the memory of MNAD
(`amsl_tf.layers.PrototypeMemory`, 10 items; weights 0.1 of compactness and separateness, as in the paper) and two transposed
convolutions, the second of which also sees the first convolution. The score is the error of the prediction; the paper's adds
the distance to the items, and goes on updating them while it tests. (MNAD-R, which gives a window back, is the model `mnad`.)
"""

from typing import Any

import keras
import numpy as np
from keras import layers, ops

from amsl_tf.layers import PrototypeMemory
from benchmarks.baselines.networks import frames, network

FEATURES = (32, 64)
ITEMS = 10
WEIGHT = 0.1  # of compactness and of separateness


def build(shape: tuple[int, int]) -> keras.Model:
    pictures = keras.Input((shape[0] // 5, shape[1], 4))
    outer = layers.Conv2D(FEATURES[0], 3, 2, padding="same", activation="relu")(pictures)
    inner = layers.Conv2D(FEATURES[1], 3, 2, padding="same", activation="relu")(outer)
    read, *terms = PrototypeMemory(ITEMS)(inner)
    given = layers.Conv2DTranspose(FEATURES[0], 3, 2, padding="same", activation="relu")(AddLosses()([read, *terms]))
    given = ops.concatenate([given[:, : outer.shape[1], : outer.shape[2]], outer], axis=-1)
    given = layers.Conv2DTranspose(1, 3, 2, padding="same")(given)
    return keras.Model(pictures, given[:, : pictures.shape[1], : pictures.shape[2], 0])


class AddLosses(layers.Layer):
    """Passes what is read on, adds the memory's terms to the loss."""

    def call(self, values: list[Any]) -> Any:
        read, *terms = values
        for term in terms:
            self.add_loss(WEIGHT * ops.mean(term))
        return read


def inputs(x: np.ndarray) -> np.ndarray:
    """The first four frames, as channels: (N, T // 5, C, 4)."""
    return np.moveaxis(frames(x)[:, :4, ..., 0], 1, -1)


fit = network(build, inputs=inputs, targets=lambda x: frames(x)[:, 4, ..., 0])
