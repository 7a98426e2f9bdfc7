"""The terms of the objectives, each a Keras loss of one output of the network.

The objective J is the mean over windows of the sum of the terms, weighted by `NetworkConfig.loss_weights`. That of AMSL
(algorithm 4 of its paper):

J = mean over windows of  sum_r MSE(x'_r, x_r)  -  lambda_1 sum_r log p_r  +  lambda_2 sum over reads of the mean entropy.
"""

from typing import Any

import keras
from keras import ops

from amsl_tf.networks.base import NetworkConfig


@keras.saving.register_keras_serializable(package="amsl_tf")
class ReconstructionLoss(keras.losses.Loss):
    """The squared error of scaled views (B, R, T, C), averaged over the cells of a view and summed over views."""

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return ops.sum(ops.mean(ops.square(y_true - y_pred), axis=(2, 3)), axis=1)


@keras.saving.register_keras_serializable(package="amsl_tf")
class ViewClassificationLoss(keras.losses.Loss):
    """The cross-entropy of probabilities (B, R, R) with the classes of the views (B, R), summed over views.

    Keras clips probabilities to [1e-7, 1 - 1e-7]; outside of it the gradient of a view is 0.
    """

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return ops.sum(ops.sparse_categorical_crossentropy(y_true, y_pred), axis=1)


@keras.saving.register_keras_serializable(package="amsl_tf")
class OutputLoss(keras.losses.Loss):
    """The output (B,) itself, a term that a memory adds to the objective; the target is ignored."""

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return y_pred


_LOSSES = {"reconstruction": ReconstructionLoss, "view_probabilities": ViewClassificationLoss}


def targets_for(config: NetworkConfig, views: Any) -> dict[str, Any]:
    """Builds the targets of the losses of a network.

    Args:
        config: The configuration of the network.
        views: Scaled views (B, R, T, C).

    Returns:
        The targets by network output. These are the views for `reconstruction`, class indices (B, R) for `view_probabilities`,
        and zeros (B,), which are ignored, for the terms of a memory.
    """
    count, num_views = ops.shape(views)[0], len(config.views)
    targets = {name: ops.zeros((count,)) for name in config.loss_weights}
    targets["reconstruction"] = views
    if "view_probabilities" in targets:
        targets["view_probabilities"] = ops.tile(ops.arange(num_views)[None], (count, 1))
    return targets


def losses_for(config: NetworkConfig) -> tuple[dict[str, keras.losses.Loss], dict[str, float]]:
    """Builds the terms of the objective of a network.

    Args:
        config: The configuration of the network.

    Returns:
        The losses and their weights, both by network output.
    """
    weights = config.loss_weights
    return {name: _LOSSES.get(name, OutputLoss)() for name in weights}, weights
