"""The decoder; each view has one of its own."""

import keras
from keras import layers

from amsl_tf.layers import Bias
from amsl_tf.layers.wide import wide_dtype
from amsl_tf.models.encoder import padding

BLOCKS = ((128, 1), (64, 2), (32, 2), (1, 1))  # filters and stride


def build_decoder(
    input_shape: tuple[int, int, int], window_shape: tuple[int, int], *, name: str, dtype: str, seeds: list[int]
) -> keras.Model:
    """Maps latent and memory reads (B, H, W, F) to a view's reconstruction (B, T, C) in [0, 1] (section 3.5 of the paper).

    Args:
        input_shape: (H, W, F).
        window_shape: (T, C).
        name: Of the model.
        dtype: Name of a Keras dtype policy; the reconstruction is float32 at least.
        seeds: Of the initial weights, four.
    """
    rows, columns = padding(window_shape)
    latent = keras.Input(input_shape, name="latent")
    x = latent
    for (filters, stride), seed in zip(BLOCKS, seeds, strict=True):
        x = layers.Conv2DTranspose(
            filters,
            4,
            stride,
            padding="same",
            use_bias=False,
            kernel_initializer=keras.initializers.GlorotUniform(seed),
            dtype=dtype,
        )(x)
        x = Bias(dtype=dtype)(x)
        if filters > 1:
            x = layers.Activation("relu", dtype=dtype)(x)
    dtype = wide_dtype(x.dtype)
    x = layers.Activation("sigmoid", dtype=dtype)(x)
    x = layers.Cropping2D(((rows, 0), (columns, 0)), dtype=dtype)(x)
    x = layers.Reshape(window_shape, dtype=dtype)(x)
    return keras.Model(latent, x, name=name)
