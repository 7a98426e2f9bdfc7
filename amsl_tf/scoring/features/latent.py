"""The feature `latent`: the latents of the views."""

import tensorflow as tf

from amsl_tf.scoring.features import FeatureInputs


def flat_latents(inputs: FeatureInputs) -> tf.Tensor:
    """Concatenates the latents of the views, float32 (B, R * F)."""
    views, features = inputs.latent.shape[1:]
    return tf.reshape(inputs.latent, (-1, views * features))
