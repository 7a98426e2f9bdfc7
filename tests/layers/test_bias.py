"""The bias, and why it is a layer of its own."""

import numpy as np
import tensorflow as tf

from amsl_tf.layers import Bias


def test_every_channel_has_its_own():
    layer = Bias()
    inputs = np.zeros((2, 3, 2), np.float32)
    np.testing.assert_array_equal(layer(inputs), inputs)
    layer.bias.assign([1.0, -2.0])
    np.testing.assert_array_equal(layer(inputs), np.broadcast_to([1.0, -2.0], (2, 3, 2)))


def test_its_gradient_is_summed_in_enough_digits(rng):
    """Over 24,576 positions, compiled as in training: TensorFlow's `BiasAddGrad` stops at 256 in bfloat16."""
    layer = Bias(dtype="mixed_bfloat16")
    inputs, of_outputs = tf.zeros((16, 64, 24, 4), tf.bfloat16), rng.uniform(size=(16, 64, 24, 4))
    layer.build(inputs.shape)

    @tf.function
    def gradient(of_outputs):
        with tf.GradientTape() as tape:
            made = layer(inputs)
        return tape.gradient(made, layer.bias.value, of_outputs)

    np.testing.assert_allclose(gradient(tf.cast(of_outputs, tf.bfloat16)), of_outputs.sum((0, 1, 2)), rtol=0.01)
