"""The classifier of self-supervision, which predicts the view that a latent belongs to."""

import keras
from keras import layers

from amsl_tf.networks.encoder import DATA_FORMAT
from amsl_tf.networks.layers import Bias
from amsl_tf.networks.layers.upcast import upcast_dtype


def build_view_classifier(input_shape: tuple[int, int, int], num_views: int, *, dtype: str, seeds: list[int]) -> keras.Model:
    """Builds the classifier of self-supervision.

    Args:
        input_shape: (H, W, F) of a latent.
        num_views: R, the number of classes.
        dtype: The name of a Keras dtype policy; the probabilities are float32 at least.
        seeds: The four seeds of the initial weights of three layers, and of the dropout.

    Returns:
        A model from a latent (B, H, W, F) to the probabilities of the views (B, R).

    Reference:
        Section 3.2 of the AMSL paper.
    """
    *initial, dropout = seeds
    convolution, hidden, head = (keras.initializers.GlorotUniform(seed) for seed in initial)
    latent = keras.Input(input_shape, name="latent")
    x = layers.Conv2D(
        1, 4, padding="same", use_bias=False, kernel_initializer=convolution, data_format=DATA_FORMAT, dtype=dtype
    )(latent)
    x = Bias(dtype=dtype)(x)
    x = layers.Activation("sigmoid", dtype=dtype)(x)
    x = layers.Flatten(data_format=DATA_FORMAT, dtype=dtype)(x)
    x = layers.Dense(128, activation="relu", kernel_initializer=hidden, dtype=dtype)(x)
    x = layers.Dropout(0.5, seed=dropout, dtype=dtype)(x)
    x = layers.Dense(num_views, kernel_initializer=head, dtype=dtype)(x)
    x = layers.Activation("softmax", dtype=upcast_dtype(x.dtype))(x)
    return keras.Model(latent, x, name="view_classifier")
