"""The decoder of one view."""

import keras
from keras import layers

from amsl_tf.networks.encoder import DATA_FORMAT, padding
from amsl_tf.networks.layers import Bias
from amsl_tf.networks.layers.upcast import upcast_dtype

STRIDES = (1, 2, 2, 1)  # of the layers


def build_decoder(
    input_shape: tuple[int, int, int],
    window_shape: tuple[int, int],
    filters: int,
    *,
    name: str,
    dtype: str,
    seeds: list[int],
) -> keras.Model:
    """Builds the decoder of one view.

    Args:
        input_shape: (H, W, F) of the latent and the memory reads, concatenated.
        window_shape: (T, C).
        filters: The number of filters of the last layer but one; those before it have 4 and 2 times as many.
        name: The name of the model.
        dtype: The name of a Keras dtype policy; the reconstruction is float32 at least.
        seeds: The four seeds of the initial weights.

    Returns:
        A model from (B, H, W, F) to the reconstruction of the scaled view (B, T, C), in [0, 1].

    Reference:
        Section 3.5 of the AMSL paper.
    """
    rows, columns = padding(window_shape)
    latent = keras.Input(input_shape, name="latent")
    x = latent
    for width, stride, seed in zip((4 * filters, 2 * filters, filters, 1), STRIDES, seeds, strict=True):
        if x is not latent:
            x = layers.Activation("relu", dtype=dtype)(x)
        x = layers.Conv2DTranspose(
            width,
            4,
            stride,
            padding="same",
            use_bias=False,
            kernel_initializer=keras.initializers.GlorotUniform(seed),
            dtype=dtype,
            data_format=DATA_FORMAT,
        )(x)
        x = Bias(dtype=dtype)(x)
    dtype = upcast_dtype(x.dtype)
    x = layers.Activation("sigmoid", dtype=dtype)(x)
    x = layers.Cropping2D(((rows, 0), (columns, 0)), dtype=dtype, data_format=DATA_FORMAT)(x)
    x = layers.Reshape(window_shape, dtype=dtype)(x)
    return keras.Model(latent, x, name=name)
