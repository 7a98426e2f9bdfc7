"""The tf.data pipelines of training.

The order of an epoch is a function of (seed, epoch), the random part of a view one of (seed, epoch, position): a training run
can resume in the middle of an epoch without any saved state of the pipeline.

With several replicas each of them gets its part of every global batch, with the weights (B,) of its windows as a third element.
The parts have the same number of windows: the last replicas repeat windows with weight 0 where the batch cannot be divided,
and the other weights make up for it, so that the mean over the parts is the mean over the windows of the global batch.
"""

from collections.abc import Callable, Sequence
from typing import Any

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
    part: tf.distribute.InputContext | None = None,
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
        part: The replicas to build the dataset for, of several; None for one device.

    Returns:
        A dataset of pairs of network inputs, float32 (B, T, C) by view, and targets (see `targets_for`); with `part` of
        triples.
    """
    order_seed = random_stream(seed, "order of windows")

    def epoch_order(epoch: tf.Tensor) -> tf.data.Dataset:
        order = tf.random.experimental.stateless_shuffle(positions, tf.random.fold_in(order_seed, epoch))
        return tf.data.Dataset.from_tensor_slices(order).batch(batch_size).map(lambda batch: (batch, epoch))

    orders = tf.data.Dataset.from_tensor_slices(np.asarray(epochs, np.int64)).flat_map(epoch_order).skip(skip)
    return _examples(orders, source, scaling, network, part)


def validation_batches(
    source: ViewSource,
    scaling: Callable[[tf.Tensor], tf.Tensor],
    network: NetworkConfig,
    positions: np.ndarray,
    *,
    batch_size: int,
    part: tf.distribute.InputContext | None = None,
) -> tf.data.Dataset:
    """Builds the dataset of validation batches, with the draws of epoch 0 in every epoch.

    Args:
        source: The source of the views.
        scaling: The scaling of views (B, R, T, C).
        network: The configuration of the network, which decides the targets.
        positions: int (n,), the positions of the validation windows in the source, in the order of the batches.
        batch_size: The number of windows in a batch; the last batch may be smaller.
        part: The replicas to build the dataset for, of several; None for one device.

    Returns:
        A dataset of network inputs and targets, as from `training_batches`.
    """
    batches = tf.data.Dataset.from_tensor_slices(positions).batch(batch_size).map(lambda batch: (batch, 0))
    return _examples(batches, source, scaling, network, part)


def _examples(
    batches: tf.data.Dataset,
    source: ViewSource,
    scaling: Callable[[tf.Tensor], tf.Tensor],
    network: NetworkConfig,
    part: tf.distribute.InputContext | None,
) -> tf.data.Dataset:
    """Builds the dataset of examples from one of positions and epochs."""
    if part is None:
        examples = batches.map(lambda batch, epoch: _example(source, scaling, network, batch, epoch), tf.data.AUTOTUNE)
    else:
        examples = batches.map(
            lambda batch, epoch: _part_example(source, scaling, network, batch, epoch, part), tf.data.AUTOTUNE
        )
    return examples.prefetch(tf.data.AUTOTUNE)


def split_replicas(examples: tf.data.Dataset, replicas: int) -> tf.data.Dataset:
    """Splits each element for several replicas into one for each replica."""

    def split(*example: Any) -> tf.data.Dataset:
        parts = tf.nest.map_structure(lambda values: tf.reshape(values, (replicas, -1, *values.shape[1:])), example)
        return tf.data.Dataset.from_tensor_slices(parts)

    return examples if replicas == 1 else examples.flat_map(split)


def _part_example(
    source: ViewSource,
    scaling: Callable[[tf.Tensor], tf.Tensor],
    network: NetworkConfig,
    positions: tf.Tensor,
    epoch: tf.Tensor | int,
    part: tf.distribute.InputContext,
) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor], tf.Tensor]:
    """Returns the inputs, targets and weights of the replicas of `part`, one after the other, of a global batch."""
    replicas, pipelines = part.num_replicas_in_sync, part.num_input_pipelines
    count = tf.size(positions)
    size = -(-count // replicas) * replicas
    length = size // pipelines
    places = tf.range(length) + part.input_pipeline_id * length
    weights = tf.where(places < count, size / count, 0.0)  # float64; losses cast it
    return (*_example(source, scaling, network, tf.gather(positions, places % count), epoch), weights)


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
