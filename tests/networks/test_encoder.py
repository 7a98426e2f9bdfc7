"""The encoder, with bias and ReLU after the pooling, against Keras layers in the order of the paper."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from amsl_tf.networks.encoder import build_encoder


@pytest.fixture
def pair(rng):
    """The encoder, a reference with the same weights, including biases of both signs, and views."""
    encoder = build_encoder((18, 5), 32, 6, dtype="float32", seeds=[0, 1])
    reference = keras.Sequential([keras.Input((18, 5, 1)), layers.ZeroPadding2D(((2, 0), (3, 0)))])
    for filters in (32, 6):
        reference.add(layers.Conv2D(filters, 4, padding="same", activation="relu"))
        reference.add(layers.MaxPooling2D(2))
    weights = [rng.normal(size=value.shape) for value in encoder.get_weights()]
    for network in (encoder, reference):
        network.set_weights(weights)
    return encoder, reference, tf.constant(rng.normal(size=(2, 18, 5, 1)), tf.float32)


def test_outputs_against_keras_layers(pair):
    encoder, reference, views = pair
    outputs = encoder(views)
    assert outputs.shape == (2, 5, 2, 6)
    assert np.any(outputs == 0)  # the ReLU is active
    np.testing.assert_allclose(outputs, reference(views), rtol=1e-5, atol=1e-4)


def test_gradients_against_keras_layers(pair, rng):
    encoder, reference, views = pair
    output_gradient = tf.constant(rng.normal(size=(2, 5, 2, 6)), tf.float32)
    gradients = []
    for network in (encoder, reference):
        with tf.GradientTape() as tape:
            tape.watch(views)
            outputs = network(views)
        gradients.append(
            tape.gradient(outputs, [views, *(weight.value for weight in network.trainable_weights)], output_gradient)
        )
    for found, expected in zip(*gradients, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-3)
