"""BeatGAN (Zhou et al., IJCAI 2019): an autoencoder with adversarial regularisation by feature matching.

Three convolutions over time with stride 2 (64, 128 and 128 filters) encode a window into 50 numbers, as in the code of the
authors for heartbeats, and three transposed convolutions decode it. The discriminator has the same convolutions and a dense
layer. The loss of the autoencoder is the squared error plus, with weight 1, the distance between the features of the window and
of its reconstruction in the discriminator. The score is the squared error.
"""

from typing import Any

import keras
import tensorflow as tf
from keras import layers, ops

from benchmarks.baselines.networks import LEARNING_RATE, network

FEATURES = (64, 128, 128)
CODE = 50
KERNEL = 5
MATCHING_WEIGHT = 1.0  # lambda


def build(shape: tuple[int, int]) -> keras.Model:
    model = BeatGAN(shape)
    model.compile(keras.optimizers.Adam(LEARNING_RATE, beta_1=0.5), "mse")
    return model


class BeatGAN(keras.Model):
    """The autoencoder and its discriminator, for windows (T, C)."""

    def __init__(self, shape: tuple[int, int]) -> None:
        super().__init__()
        window = keras.Input(shape)
        self.generator = keras.Model(window, _decode(_encode(window), shape))
        features = _encode(window)
        self.discriminator = keras.Model(window, [features, layers.Dense(1)(layers.Flatten()(features))])
        self.discriminator_optimizer = keras.optimizers.Adam(LEARNING_RATE, beta_1=0.5)

    def call(self, x: Any, training: bool = False) -> Any:
        return self.generator(x, training=training)

    def train_step(self, data: tuple[Any, Any]) -> dict[str, Any]:
        x, _ = data
        with tf.GradientTape() as tape, tf.GradientTape() as discriminator_tape:
            reconstruction = self.generator(x, training=True)
            features, real = self.discriminator(x, training=True)
            matched, fake = self.discriminator(reconstruction, training=True)
            matching = ops.mean(ops.square(features - matched))
            loss = ops.mean(ops.square(x - reconstruction)) + MATCHING_WEIGHT * matching
            discriminator_loss = ops.mean(ops.softplus(-real)) + ops.mean(ops.softplus(fake))  # cross-entropies
        variables = self.generator.trainable_variables
        self.optimizer.apply(tape.gradient(loss, variables), variables)
        variables = self.discriminator.trainable_variables
        self.discriminator_optimizer.apply(discriminator_tape.gradient(discriminator_loss, variables), variables)
        return {"loss": loss, "discriminator_loss": discriminator_loss}


def _encode(x: Any) -> Any:
    for features in FEATURES:
        x = layers.Conv1D(features, KERNEL, 2, padding="same")(x)
        x = layers.LeakyReLU(0.2)(layers.BatchNormalization()(x))
    return x


def _decode(x: Any, shape: tuple[int, int]) -> Any:
    size, flat = x.shape[1:], layers.Flatten()(x)
    code = layers.Dense(CODE)(flat)
    x = layers.Reshape(size)(layers.Dense(flat.shape[1])(code))
    x = layers.ReLU()(layers.BatchNormalization()(x))
    for features in FEATURES[-2::-1]:
        x = layers.Conv1DTranspose(features, KERNEL, 2, padding="same")(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
    # strides round lengths up: the excess is cropped
    return layers.Conv1DTranspose(shape[1], KERNEL, 2, padding="same")(x)[:, : shape[0]]


fit = network(build)
