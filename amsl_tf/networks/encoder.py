"""The encoder, shared by all views."""

import keras
from keras import layers

from amsl_tf.networks.layers import Bias

REDUCTION = 4  # the factor by which the encoder downsamples time steps and channels
DATA_FORMAT = "channels_last"  # of every layer: the default of Keras is a setting of the user


def padding(window_shape: tuple[int, int]) -> tuple[int, int]:
    """Computes the padding that makes both sizes divisible by `REDUCTION`.

    Args:
        window_shape: (T, C).

    Returns:
        The numbers of time steps and channels to add before the first ones.
    """
    return -window_shape[0] % REDUCTION, -window_shape[1] % REDUCTION


def build_encoder(window_shape: tuple[int, int], filters: int, features: int, *, dtype: str, seeds: list[int]) -> keras.Model:
    """Builds the encoder, which maps a view to its latent.

    Args:
        window_shape: (T, C).
        filters: The number of filters of the first convolution.
        features: F, the number of features at each position of the latent.
        dtype: The name of a Keras dtype policy.
        seeds: The two seeds of the initial weights.

    Returns:
        A model from a scaled view (B, T, C, 1) to its latent (B, H, W, F), H and W a quarter of the padded T and C.

    Reference:
        Section 3.2 of the AMSL paper.
    """
    rows, columns = padding(window_shape)
    view = keras.Input((*window_shape, 1), name="view")
    x = layers.ZeroPadding2D(((rows, 0), (columns, 0)), dtype=dtype, data_format=DATA_FORMAT)(view)
    for width, seed in zip((filters, features), seeds, strict=True):
        kernels = keras.initializers.GlorotUniform(seed)
        x = layers.Conv2D(
            width, 4, padding="same", use_bias=False, kernel_initializer=kernels, dtype=dtype, data_format=DATA_FORMAT
        )(x)
        x = layers.MaxPooling2D(2, dtype=dtype, data_format=DATA_FORMAT)(x)
        # bias and ReLU are monotonic, so they can follow the pooling, on a quarter of the values
        x = Bias(dtype=dtype)(x)
        x = layers.Activation("relu", dtype=dtype)(x)
    return keras.Model(view, x, name="encoder")
