"""The network that a configuration asks for."""

import keras

from amsl_tf.model_config import AMSLConfig, CAEConfig, ModelConfig
from amsl_tf.models.amsl import build_amsl
from amsl_tf.models.autoencoder import build_autoencoder


def build_network(config: ModelConfig, window_shape: tuple[int, int], *, dtype: str = "float32", seed: int = 0) -> keras.Model:
    """Builds a network that rebuilds the views of a window.

    Args:
        config: Which network, with which views and parts.
        window_shape: (T, C) of the windows.
        dtype: Name of a Keras dtype policy, such as `mixed_bfloat16`. Slots and outputs are float32 at least. For
            `float64` Keras' floatx must be float64, too: inputs and losses go by that.
        seed: Fixes the initial weights, the dropout and what is forgotten.

    Returns:
        A functional model. Inputs: a dict of the R views by name, each (B, T, C), scaled. Outputs, a dict of tensors:
        `reconstruction` (B, R, T, C); `latent` (B, R, F), the mean over positions; and what the objective needs beside the
        reconstruction: `view_probabilities` (B, R, R), with self-supervision; `memory_entropy` (B,), the sum over all reads of
        the mean entropy of a position (AMSL with memory, MemAE); `compactness` and `separateness` (B,), means over positions
        (MNAD).
    """
    match config:
        case AMSLConfig():
            return build_amsl(config, window_shape, dtype=dtype, seed=seed)
        case CAEConfig():  # and all that have more than it
            return build_autoencoder(config, window_shape, dtype=dtype, seed=seed)
    raise TypeError(f"config must be of a class in MODELS. Received: {config!r}.")
