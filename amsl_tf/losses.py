"""The terms of the objectives, each a Keras loss by the name of the output it belongs to.

J = mean over windows of the sum of the terms times their weights, `loss_weights` of the network's configuration. AMSL
(Algorithm 4 of its paper):

J = mean over windows of  sum_r MSE(x'_r, x_r)  -  lambda_1 sum_r log p_r  +  lambda_2 sum over reads of the mean entropy.
"""

from typing import Any

import keras
from keras import ops

from amsl_tf.model_config import ModelConfig


@keras.saving.register_keras_serializable(package="amsl_tf")
class ReconstructionLoss(keras.losses.Loss):
    """Squared error of the views (B, R, T, C): the mean over a view's cells, summed over views."""

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return ops.sum(ops.mean(ops.square(y_true - y_pred), axis=(2, 3)), axis=1)


@keras.saving.register_keras_serializable(package="amsl_tf")
class ViewClassificationLoss(keras.losses.Loss):
    """Cross-entropy of the probabilities (B, R, R) with the views' classes (B, R), summed over views.

    Keras cuts probabilities off at its epsilon, 1e-7, and at 1 less that: beyond, nothing is learned from a view.
    """

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return ops.sum(ops.sparse_categorical_crossentropy(y_true, y_pred), axis=1)


@keras.saving.register_keras_serializable(package="amsl_tf")
class OutputLoss(keras.losses.Loss):
    """The output (B,) itself, what a memory adds to an objective; it has no target, what is given for one is not looked at."""

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return y_pred


_LOSSES = {"reconstruction": ReconstructionLoss, "view_probabilities": ViewClassificationLoss}


def targets_for(config: ModelConfig, views: Any) -> dict[str, Any]:
    """What the losses of a network compare its outputs with, given its scaled views (B, R, T, C), by name of output."""
    count, num_views = ops.shape(views)[0], len(config.views)
    targets = {name: ops.zeros((count,)) for name in config.loss_weights}
    targets["reconstruction"] = views
    if "view_probabilities" in targets:
        targets["view_probabilities"] = ops.tile(ops.arange(num_views)[None], (count, 1))
    return targets


def losses_for(config: ModelConfig) -> tuple[dict[str, keras.losses.Loss], dict[str, float]]:
    """The losses of a network and their weights in the objective, by name of output."""
    weights = config.loss_weights
    return {name: _LOSSES.get(name, OutputLoss)() for name in weights}, weights
