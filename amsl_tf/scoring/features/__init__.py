"""Features of windows: TensorFlow operations, one module for each, registered in `amsl_tf.scoring.FEATURES`."""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf


class FeatureInputs(NamedTuple):
    """The inputs of features for B windows with R views.

    Attributes:
        windows: float32 (B, T, C), raw windows in their own units.
        error: float32 (B, R, C), the squared error of the reconstruction in scaled units, averaged over time.
        latent: float32 (B, R, F), the latent, averaged over positions.
        axes: The number of consecutive channels that are the axes of one sensor.
    """

    windows: tf.Tensor
    error: tf.Tensor
    latent: tf.Tensor
    axes: int


Feature = Callable[[FeatureInputs], tf.Tensor]  # to (B, D); each row depends on its window alone

__all__ = ["Feature", "FeatureInputs"]
