"""The encoder that all views share."""

import keras
from keras import layers

from amsl_tf.layers import Bias

REDUCTION = 4  # by which the encoder divides time steps and channels, and the decoders multiply them
FILTERS = 32  # of the first convolution


def padding(window_shape: tuple[int, int]) -> tuple[int, int]:
    """Rows before the first time step and columns before the first channel that make both divisible by `REDUCTION`."""
    return -window_shape[0] % REDUCTION, -window_shape[1] % REDUCTION


def build_encoder(window_shape: tuple[int, int], features: int, *, dtype: str, seeds: list[int]) -> keras.Model:
    """Maps a view (B, T, C, 1) to its latent (B, H, W, F), H and W a quarter of the padded T and C (section 3.2 of the paper).

    Args:
        window_shape: (T, C).
        features: F.
        dtype: Name of a Keras dtype policy.
        seeds: Of the initial weights, two.
    """
    rows, columns = padding(window_shape)
    view = keras.Input((*window_shape, 1), name="view")
    x = layers.ZeroPadding2D(((rows, 0), (columns, 0)), dtype=dtype)(view)
    for filters, seed in zip((FILTERS, features), seeds, strict=True):
        kernels = keras.initializers.GlorotUniform(seed)
        x = layers.Conv2D(filters, 4, padding="same", use_bias=False, kernel_initializer=kernels, dtype=dtype)(x)
        x = layers.MaxPooling2D(2, dtype=dtype)(x)
        # Bias and rectifier after the pool, on a quarter of the numbers: neither puts a smaller number above a larger one.
        x = Bias(dtype=dtype)(x)
        x = layers.Activation("relu", dtype=dtype)(x)
    return keras.Model(view, x, name="encoder")
