"""Sources of the views of training windows: made on the fly, or read from the files that transformation wrote."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import tensorflow as tf

from amsl_tf.data.windows import CHUNK
from amsl_tf.errors import DataError
from amsl_tf.views.operations import draw_for_windows, make_views


class ViewSource(Protocol):
    """The interface of sources of the views of training windows.

    Attributes:
        names: The names of the views.
    """

    @property
    def names(self) -> tuple[str, ...]: ...

    def views(self, positions: tf.Tensor, epoch: tf.Tensor | int) -> tf.Tensor:
        """Returns the views of windows, in the graph of a tf.data pipeline.

        Args:
            positions: int (B,), the positions of the windows.
            epoch: The epoch, counted from 0.

        Returns:
            float32 (B, R, T, C), not scaled.
        """
        ...


@dataclass(frozen=True)
class RawWindows:
    """A source that makes views of raw windows on the fly, with new draws in every epoch.

    Attributes:
        x: float32 (N, T, C), possibly memory-mapped.
        names: The names of the views.
        seed: The seed of the draws.
    """

    x: np.ndarray
    names: tuple[str, ...]
    seed: int

    def views(self, positions: tf.Tensor, epoch: tf.Tensor | int) -> tf.Tensor:
        """Makes the views of windows; see `ViewSource.views`."""
        shape = self.x.shape[1:]
        windows = tf.ensure_shape(tf.numpy_function(self.x.__getitem__, [positions], tf.float32), (None, *shape))
        return make_views(windows, draw_for_windows(self.seed, epoch, positions, shape, self.names), self.names)


class MaterialisedViews:
    """A source that reads views from arrays, the same in every epoch.

    Args:
        arrays: float32 (N, T, C) by name of the view, possibly memory-mapped.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray]) -> None:
        self.names, self._arrays = tuple(arrays), tuple(arrays.values())

    def views(self, positions: tf.Tensor, epoch: tf.Tensor | int) -> tf.Tensor:
        """Reads the views of windows; see `ViewSource.views`."""

        def read(positions: np.ndarray) -> np.ndarray:
            return np.stack([array[positions] for array in self._arrays], axis=1)

        return tf.ensure_shape(
            tf.numpy_function(read, [positions], tf.float32), (None, len(self._arrays), *self._arrays[0].shape[1:])
        )


def view_batches(source: ViewSource, positions: np.ndarray) -> Iterator[np.ndarray]:
    """Reads the views of windows in order, with the draws of epoch 0.

    Args:
        source: The source of the views.
        positions: int (N,), the positions of the windows.

    Yields:
        Batches of views, float32 (B, R, T, C), not scaled.

    Raises:
        DataError: A view is not finite.
    """
    batches = tf.data.Dataset.from_tensor_slices(positions).batch(CHUNK)
    for views in batches.map(lambda batch: source.views(batch, 0), 2).prefetch(2).as_numpy_iterator():
        if not np.isfinite(views).all():
            count, names = len(views), source.names
            broken = ", ".join(name for index, name in enumerate(names) if not np.isfinite(views[:, index]).all())
            raise DataError(f"views must be finite. Received: NaN or infinity in {broken}, within {count} windows. Correct it.")
        yield views
