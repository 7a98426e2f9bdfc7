"""The bias, and the precision of its gradient."""

import numpy as np
import tensorflow as tf

from amsl_tf.networks.layers import Bias


def test_each_channel_has_its_own_bias():
    layer = Bias()
    inputs = np.zeros((2, 3, 2), np.float32)
    np.testing.assert_array_equal(layer(inputs), inputs)
    layer.bias.assign([1.0, -2.0])
    np.testing.assert_array_equal(layer(inputs), np.broadcast_to([1.0, -2.0], (2, 3, 2)))


def test_gradient_is_accurate_in_bfloat16(rng):
    """Sums over 24,576 positions in a graph, as in training; TensorFlow's `BiasAddGrad` in bfloat16 stops at 256."""
    layer = Bias(dtype="mixed_bfloat16")
    inputs, output_gradient = tf.zeros((16, 64, 24, 4), tf.bfloat16), rng.uniform(size=(16, 64, 24, 4))
    layer.build(inputs.shape)

    @tf.function
    def gradient(output_gradient):
        with tf.GradientTape() as tape:
            outputs = layer(inputs)
        return tape.gradient(outputs, layer.bias.value, output_gradient)

    np.testing.assert_allclose(gradient(tf.cast(output_gradient, tf.bfloat16)), output_gradient.sum((0, 1, 2)), rtol=0.01)
