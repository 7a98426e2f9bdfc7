"""A bias layer."""

from typing import Any

import keras


@keras.saving.register_keras_serializable(package="amsl_tf")
class Bias(keras.layers.Layer):
    """A layer that adds a trainable bias to every channel.

    It replaces the bias of Keras' convolutions, whose gradient TensorFlow sums in the precision of the layer on a CPU
    (`BiasAddGrad`): in bfloat16 a sum over thousands of positions stops growing once the next term is below half a unit in the
    last place. The gradient of a plain addition is summed in float32.

    Call arguments:
        inputs: (..., C).

    Returns:
        (..., C).
    """

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.bias = self.add_weight(name="bias", shape=(input_shape[-1],), initializer="zeros")

    def call(self, inputs: Any) -> Any:
        return inputs + self.bias  # `ops.add` would become TensorFlow's `BiasAdd`
