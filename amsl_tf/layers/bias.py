"""The bias of a convolution, as a layer."""

from typing import Any

import keras


@keras.saving.register_keras_serializable(package="amsl_tf")
class Bias(keras.layers.Layer):
    """Adds a learned number, 0 at first, to every channel of inputs (..., C).

    Keras' convolutions have a bias too. But on a CPU TensorFlow sums its gradient in the layer's precision (`BiasAddGrad`):
    over thousands of positions a sum in bfloat16 stops growing, where the next number is rounded away. The gradient of a plain
    addition is summed in float32.
    """

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.bias = self.add_weight(name="bias", shape=(input_shape[-1],), initializer="zeros")

    def call(self, inputs: Any) -> Any:
        return inputs + self.bias  # `ops.add` turns into TensorFlow's `BiasAdd`
