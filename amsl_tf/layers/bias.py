"""A bias of its own, for the convolutions of encoder and decoders."""

from typing import Any

import keras


@keras.saving.register_keras_serializable(package="amsl_tf")
class Bias(keras.layers.Layer):
    """Adds a learned number, 0 at first, to every channel of inputs (..., C).

    Keras' convolutions do that too, but the gradient of theirs, TensorFlow's `BiasAddGrad`, is summed in bfloat16 by a layer
    that computes in it on a CPU: the sum over thousands of positions stops growing where the next number is rounded away.
    """

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.bias = self.add_weight(name="bias", shape=(input_shape[-1],), initializer="zeros")

    def call(self, inputs: Any) -> Any:
        return inputs + self.bias  # no `ops.add`, which is `BiasAdd` again
