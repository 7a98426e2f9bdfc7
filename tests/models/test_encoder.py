"""The encoder, whose bias and rectifier come after the pool, against Keras' layers in the order of the paper."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from amsl_tf.models.encoder import build_encoder


@pytest.fixture
def pair(rng):
    """The encoder and the plain one with the same weights, biases of both signs among them; and views."""
    encoder = build_encoder((18, 5), 6, dtype="float32", seeds=[0, 1])
    plain = keras.Sequential([keras.Input((18, 5, 1)), layers.ZeroPadding2D(((2, 0), (3, 0)))])
    for filters in (32, 6):
        plain.add(layers.Conv2D(filters, 4, padding="same", activation="relu"))
        plain.add(layers.MaxPooling2D(2))
    weights = [rng.normal(size=value.shape) for value in encoder.get_weights()]
    for network in (encoder, plain):
        network.set_weights(weights)
    return encoder, plain, tf.constant(rng.normal(size=(2, 18, 5, 1)), tf.float32)


def test_it_computes_convolution_bias_rectifier_and_pool(pair):
    encoder, plain, views = pair
    made = encoder(views)
    assert made.shape == (2, 5, 2, 6)
    assert np.any(made == 0)  # where the rectifier is at work
    np.testing.assert_allclose(made, plain(views), rtol=1e-5, atol=1e-4)


def test_its_gradients_are_those_of_this_order(pair, rng):
    encoder, plain, views = pair
    of_outputs = tf.constant(rng.normal(size=(2, 5, 2, 6)), tf.float32)
    gradients = []
    for network in (encoder, plain):
        with tf.GradientTape() as tape:
            tape.watch(views)
            made = network(views)
        gradients.append(tape.gradient(made, [views, *(weight.value for weight in network.trainable_weights)], of_outputs))
    for found, wanted in zip(*gradients, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-3)
