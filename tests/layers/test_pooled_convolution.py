"""The convolution of the encoder against the layers of Keras, in the order of the paper."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from amsl_tf.layers import PooledConv2D


@pytest.fixture
def pair(rng):
    """The layer and the plain ones with the same weights, biases of both signs among them; and inputs."""
    layer, convolution = PooledConv2D(6, 4), layers.Conv2D(6, 4, padding="same", activation="relu")
    inputs = tf.constant(rng.normal(size=(2, 8, 12, 3)), tf.float32)
    layer(inputs), convolution(inputs)
    weights = [rng.normal(size=value.shape) for value in layer.get_weights()]
    layer.set_weights(weights)
    convolution.set_weights(weights)
    return layer, keras.Sequential([convolution, layers.MaxPooling2D(2)]), inputs


def test_it_is_convolution_rectifier_and_pool(pair):
    layer, plain, inputs = pair
    made = layer(inputs)
    assert made.shape == (2, 4, 6, 6)
    np.testing.assert_allclose(made, plain(inputs), rtol=1e-5, atol=1e-5)


def test_so_are_its_gradients(pair, rng):
    layer, plain, inputs = pair
    of_outputs = tf.constant(rng.normal(size=(2, 4, 6, 6)), tf.float32)
    gradients = []
    for network in (layer, plain):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            made = network(inputs)
        gradients.append(tape.gradient(made, [inputs, *(weight.value for weight in network.trainable_weights)], of_outputs))
    for found, wanted in zip(*gradients, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)


def test_it_computes_in_the_precision_of_its_policy():
    layer = PooledConv2D(2, 4, dtype="mixed_bfloat16")
    assert layer(np.ones((1, 4, 4, 1), np.float32)).dtype == "bfloat16"
    assert layer.kernel.dtype == "float32"


def test_the_gradient_of_the_bias_is_summed_in_enough_digits(rng):
    """Over thousands of positions: TensorFlow's `BiasAddGrad` stops at 256 in bfloat16."""
    inputs, of_outputs = rng.uniform(size=(16, 64, 24, 3)), rng.uniform(size=(16, 32, 12, 4))
    gradients = []
    for policy in ("float32", "mixed_bfloat16"):
        layer = PooledConv2D(4, 4, 1, dtype=policy)
        with tf.GradientTape() as tape:
            made = layer(tf.constant(inputs, tf.float32))
        gradients.append(tape.gradient(made, layer.bias.value, tf.cast(of_outputs, made.dtype)))
    np.testing.assert_allclose(gradients[1], gradients[0], rtol=0.02)


def test_config_round_trip():
    layer = PooledConv2D(12, 4, 7, name="first")
    again = keras.layers.deserialize(keras.layers.serialize(layer))
    assert (again.filters, again.size, again.seed, again.name) == (12, 4, 7, "first")
