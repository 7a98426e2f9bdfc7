"""The convolution of the encoder."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="amsl_tf")
class PooledConv2D(keras.layers.Layer):
    """A convolution and what follows it: bias, rectifier and the maximum of every 2 x 2 positions.

    Bias and rectifier come last here, on a quarter of the numbers. The result is the same, since neither puts a smaller number
    above a larger one, and oneDNN takes up to twice as long for the gradient of a kernel if it has to sum that of a bias too.

    Args:
        filters: Number of filters F.
        size: Height and width of the kernels; inputs are padded with zeros.
        seed: Of the initial kernels, Glorot's uniform ones. Biases start at 0.

    Call:
        inputs: (B, H, W, C), H and W even.
        Returns (B, H / 2, W / 2, F).
    """

    def __init__(self, filters: int, size: int, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.filters, self.size, self.seed = filters, size, seed

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        shape = (self.size, self.size, input_shape[-1], self.filters)
        self.kernel = self.add_weight(name="kernel", shape=shape, initializer=keras.initializers.GlorotUniform(self.seed))
        self.bias = self.add_weight(name="bias", shape=(self.filters,), initializer="zeros")

    def call(self, inputs: Any) -> Any:
        convolved = ops.conv(inputs, self.kernel, padding="same", data_format="channels_last")
        pooled = ops.max_pool(convolved, 2, strides=2, data_format="channels_last")  # without a stride Keras fails on JAX
        return ops.relu(pooled + self.bias)  # no `ops.add`: on a CPU its gradient sums in bfloat16, thousands of numbers

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "filters": self.filters, "size": self.size, "seed": self.seed}
