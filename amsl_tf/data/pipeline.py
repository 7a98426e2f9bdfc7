"""Batches of views for training, with tf.data: from raw windows, the views made on the fly, or from materialised views.

The order of an epoch is a function of (seed, epoch), a window's draw one of (seed, epoch, position): nothing has to be saved
for a training to continue in the middle of an epoch.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import tensorflow as tf

from amsl_tf.data.windows import CHUNK
from amsl_tf.losses import targets_for
from amsl_tf.model_config import ModelConfig
from amsl_tf.transforms import draw_for_windows, make_views, random_stream
from amsl_tf.views import split_views


class ViewSource(Protocol):
    """Where the views of the training windows come from."""

    def views(self, positions: tf.Tensor, epoch: tf.Tensor | int) -> tf.Tensor:
        """The views (B, R, T, C) of the windows at these positions (B,), in the graph of a tf.data pipeline."""
        ...


@dataclass(frozen=True)
class RawWindows:
    """Views made on the fly from raw windows, with new draws in every epoch.

    Attributes:
        x: float32 (N, T, C), possibly memory-mapped.
        names: Of the views.
        seed: Of the draws.
    """

    x: np.ndarray
    names: tuple[str, ...]
    seed: int

    def views(self, positions: tf.Tensor, epoch: tf.Tensor | int) -> tf.Tensor:
        shape = self.x.shape[1:]
        windows = tf.numpy_function(self.x.__getitem__, [positions], tf.float32)
        return make_views(
            tf.ensure_shape(windows, (None, *shape)), draw_for_windows(self.seed, epoch, positions, shape), self.names
        )


class MaterialisedViews:
    """Views that transformation has written, the same in every epoch.

    Args:
        arrays: float32 (N, T, C) by name of the view, possibly memory-mapped.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray]) -> None:
        self._arrays = tuple(arrays.values())

    def views(self, positions: tf.Tensor, epoch: tf.Tensor | int) -> tf.Tensor:
        def read(positions: np.ndarray) -> np.ndarray:
            return np.stack([array[positions] for array in self._arrays], axis=1)

        return tf.ensure_shape(
            tf.numpy_function(read, [positions], tf.float32), (None, len(self._arrays), *self._arrays[0].shape[1:])
        )


def view_batches(source: ViewSource, positions: np.ndarray) -> Iterator[np.ndarray]:
    """The views of the windows at these positions in order, as batches (B, R, T, C), with the draws of epoch 0."""
    batches = tf.data.Dataset.from_tensor_slices(positions).batch(CHUNK)
    yield from batches.map(lambda batch: source.views(batch, 0), 2).prefetch(2).as_numpy_iterator()


def training_batches(
    source: ViewSource,
    scaling: Callable[[tf.Tensor], tf.Tensor],
    model: ModelConfig,
    positions: np.ndarray,
    *,
    batch_size: int,
    seed: int,
    epochs: Sequence[int] | range,
    skip: int = 0,
) -> tf.data.Dataset:
    """Shuffled batches of the given epochs, one epoch after the other: what `fit` takes.

    TensorFlow is not told their size. It changes a step of known size, unless that is small, to save memory (Grappler's memory
    optimizer): gradients of one tensor may then be added up as threads come to make them, and two trainings not end alike.

    Args:
        source: Of the views.
        scaling: Applied to the views (B, R, T, C).
        model: Decides the targets.
        positions: Of the windows to train on, in the source.
        batch_size: The last batch of an epoch may be smaller.
        seed: Of the order.
        epochs: Counted from 0.
        skip: Batches to leave out at the start, which a resumed training has seen already.
    """
    order_seed = random_stream(seed, "order of windows")

    def epoch_order(epoch: tf.Tensor) -> tf.data.Dataset:
        order = tf.random.experimental.stateless_shuffle(positions, tf.random.fold_in(order_seed, epoch))
        return tf.data.Dataset.from_tensor_slices(order).batch(batch_size).map(lambda batch: (batch, epoch))

    orders = tf.data.Dataset.from_tensor_slices(np.asarray(epochs, np.int64)).flat_map(epoch_order).skip(skip)
    return orders.map(lambda batch, epoch: _example(source, scaling, model, batch, epoch), tf.data.AUTOTUNE).prefetch(
        tf.data.AUTOTUNE
    )


def validation_batches(
    source: ViewSource,
    scaling: Callable[[tf.Tensor], tf.Tensor],
    model: ModelConfig,
    positions: np.ndarray,
    *,
    batch_size: int,
) -> tf.data.Dataset:
    """Batches in the order of `positions`, with the draws of epoch 0, so that every epoch is measured on the same views."""
    batches = tf.data.Dataset.from_tensor_slices(positions).batch(batch_size)
    return batches.map(lambda batch: _example(source, scaling, model, batch, 0), tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def _example(
    source: ViewSource,
    scaling: Callable[[tf.Tensor], tf.Tensor],
    model: ModelConfig,
    positions: tf.Tensor,
    epoch: tf.Tensor | int,
) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]:
    """The network's inputs and the targets of its losses."""
    views = scaling(source.views(positions, epoch))
    return split_views(views, model.views), targets_for(model, views)
