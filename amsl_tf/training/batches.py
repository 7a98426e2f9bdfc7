"""The tf.data pipelines of training.

The order of an epoch is a function of (seed, epoch), the random part of a view one of (seed, epoch, position): a training run
can resume in the middle of an epoch without any saved state of the pipeline.
"""

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from amsl_tf.networks.base import NetworkConfig
from amsl_tf.networks.losses import targets_for
from amsl_tf.views import split_views
from amsl_tf.views.operations import random_stream
from amsl_tf.views.sources import ViewSource


def training_batches(
    source: ViewSource,
    scaling: Callable[[tf.Tensor], tf.Tensor],
    network: NetworkConfig,
    positions: np.ndarray,
    *,
    batch_size: int,
    seed: int,
    epochs: Sequence[int] | range,
    skip: int = 0,
) -> tf.data.Dataset:
    """Builds the dataset of shuffled batches of the given epochs, one epoch after the other, for Keras' `fit`.

    The batch size is unknown to TensorFlow's graph on purpose: for large steps of known size Grappler's memory optimizer
    replaces the sum of a tensor's gradients by additions in the order in which threads finish, which is not reproducible.

    Args:
        source: The source of the views.
        scaling: The scaling of views (B, R, T, C).
        network: The configuration of the network, which decides the targets.
        positions: int (n,), the positions of the training windows in the source.
        batch_size: The number of windows in a batch; the last batch of an epoch may be smaller.
        seed: The seed of the order.
        epochs: The epochs, counted from 0.
        skip: The number of batches to skip, which a resumed training run has seen already.

    Returns:
        A dataset of pairs of network inputs, float32 (B, T, C) by view, and targets (see `targets_for`).
    """
    order_seed = random_stream(seed, "order of windows")

    def epoch_order(epoch: tf.Tensor) -> tf.data.Dataset:
        order = tf.random.experimental.stateless_shuffle(positions, tf.random.fold_in(order_seed, epoch))
        return tf.data.Dataset.from_tensor_slices(order).batch(batch_size).map(lambda batch: (batch, epoch))

    orders = tf.data.Dataset.from_tensor_slices(np.asarray(epochs, np.int64)).flat_map(epoch_order).skip(skip)
    return orders.map(lambda batch, epoch: _example(source, scaling, network, batch, epoch), tf.data.AUTOTUNE).prefetch(
        tf.data.AUTOTUNE
    )


def validation_batches(
    source: ViewSource,
    scaling: Callable[[tf.Tensor], tf.Tensor],
    network: NetworkConfig,
    positions: np.ndarray,
    *,
    batch_size: int,
) -> tf.data.Dataset:
    """Builds the dataset of validation batches, with the draws of epoch 0 in every epoch.

    Args:
        source: The source of the views.
        scaling: The scaling of views (B, R, T, C).
        network: The configuration of the network, which decides the targets.
        positions: int (n,), the positions of the validation windows in the source, in the order of the batches.
        batch_size: The number of windows in a batch; the last batch may be smaller.

    Returns:
        A dataset of pairs of network inputs and targets, as from `training_batches`.
    """
    batches = tf.data.Dataset.from_tensor_slices(positions).batch(batch_size)
    return batches.map(lambda batch: _example(source, scaling, network, batch, 0), tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def _example(
    source: ViewSource,
    scaling: Callable[[tf.Tensor], tf.Tensor],
    network: NetworkConfig,
    positions: tf.Tensor,
    epoch: tf.Tensor | int,
) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]:
    """Returns the inputs of the network and the targets of its losses."""
    views = scaling(source.views(positions, epoch))
    return split_views(views, network.views), targets_for(network, views)
