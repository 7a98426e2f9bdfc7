"""Makes views of windows, with reproducible random draws.

One implementation serves the transformation command, the training pipeline and the scoring of a detector.
"""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf

from amsl_tf.errors import AMSLError
from amsl_tf.views.base import PAPER_VIEWS, VIEWS

PURPOSES = ("training draws", "scoring draw", "order of windows")

# The random part of the views by name of the view, each with a leading axis: B for B windows, or 1 for a draw shared by all.
Draws = Mapping[str, Any]


@tf.autograph.experimental.do_not_convert  # there is nothing to convert, and autograph's search takes longer than the draws
def draw_for_windows(
    seed: int, epoch: tf.Tensor | int, positions: tf.Tensor, shape: tuple[int, int], names: Iterable[str]
) -> Draws:
    """Draws the random part of the training views, for each window a function of (seed, epoch, position) alone.

    Args:
        seed: The seed of the training run.
        epoch: The epoch, counted from 0; views that are made once use 0.
        positions: int (B,), the positions of the windows in their array.
        shape: (T, C) of the windows.
        names: The names of the views.

    Returns:
        The random part of the random views by name, each with a leading axis of length B.
    """
    # the dtypes are part of the seed: fold_in gives another stream for 7 as int32 than for 7 as int64
    stream = tf.random.fold_in(random_stream(seed, "training draws"), tf.cast(epoch, tf.int32))
    names = tuple(names)
    example = _draw_one(stream, shape, names)
    if not example:
        return {}
    return tf.map_fn(
        lambda position: _draw_one(tf.random.fold_in(stream, position), shape, names),
        tf.cast(positions, tf.int64),
        fn_output_signature={name: tf.TensorSpec(value.shape, value.dtype) for name, value in example.items()},
    )


def draw_for_scoring(seed: int, shape: tuple[int, int], names: Iterable[str]) -> Draws:
    """Draws the random part that a detector scores every window with.

    Args:
        seed: The seed of the detector.
        shape: (T, C) of the windows.
        names: The names of the views.

    Returns:
        Arrays by name of the random views, each with a leading axis of length 1.
    """
    return {name: value.numpy()[None] for name, value in _draw_one(random_stream(seed, "scoring draw"), shape, names).items()}


@tf.autograph.experimental.do_not_convert
def make_views(windows: tf.Tensor, draws: Draws, names: Iterable[str]) -> tf.Tensor:
    """Makes views of windows.

    Args:
        windows: float32 (B, T, C).
        draws: The random part of the views, for B windows or one for all.
        names: The names of the R views.

    Returns:
        float32 (B, R, T, C), in the order of `names` and not scaled.
    """
    return tf.stack([VIEWS[name].transform(windows, draws.get(name)) for name in names], axis=1)


def check_transforms(windows: np.ndarray, seed: int, names: Iterable[str]) -> None:
    """Checks that views can be made, with the draws of training and with that of scoring, before a network is trained.

    Args:
        windows: float32 (B, T, C), a few windows.
        seed: The seed of the detector.
        names: The names of the views.

    Raises:
        AMSLError: A view cannot be made in a TensorFlow graph, or is not float32 (B, T, C).
    """
    shape = windows.shape[1:]
    signature = [tf.TensorSpec((None, *shape), tf.float32), tf.TensorSpec((None,), tf.int64)]
    for name in names:
        expected = f"the view {name!r} must map windows to float32 (B, T, C) in TensorFlow operations."
        _ = VIEWS[name].transform  # a module that cannot be imported has an error of its own
        try:
            make = partial(_make_twice, name, seed, draw_for_scoring(seed, shape, [name]))
            made = tf.function(make, input_signature=signature, autograph=False)(windows, np.arange(len(windows)))
        except Exception as error:  # operations of a user can raise anything
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise AMSLError(f"{expected} Received: {reason}") from error
        for view in made:
            if not tf.is_tensor(view):
                raise AMSLError(f"{expected} Received: {view!r}.")
            if view.dtype != tf.float32 or view.shape != windows.shape:
                received = f"shape={tuple(view.shape)}, dtype={view.dtype.name} for windows of shape={windows.shape}"
                raise AMSLError(f"{expected} Received: {received}.")


def random_stream(seed: int, purpose: str) -> tf.Tensor:
    """Derives the seed of an independent random stream.

    Args:
        seed: The seed of the detector.
        purpose: One of `PURPOSES`.

    Returns:
        int (2,), a seed of stateless random operations.
    """
    return tf.random.fold_in(tf.constant([seed, 0]), PURPOSES.index(purpose))


def _make_twice(name: str, seed: int, scoring: Draws, windows: tf.Tensor, positions: tf.Tensor) -> list[Any]:
    """Makes one view with the draws of training and with that of scoring."""
    training = draw_for_windows(seed, 0, positions, tuple(windows.shape[1:]), [name])
    return [VIEWS[name].transform(windows, draws.get(name)) for draws in (training, scoring)]


def _draw_one(stream: tf.Tensor, shape: tuple[int, int], names: Iterable[str]) -> dict[str, tf.Tensor]:
    """Draws the random part of one window, without the leading axis.

    A view's stream is that of its place in the registry, without the deterministic views of the paper: it does not depend on
    which views are in use, nor on whether views that are not in use can be imported.
    """
    places = [name for name in VIEWS if name not in PAPER_VIEWS or VIEWS[name].draw is not None]
    seeds = dict(zip(places, tf.unstack(tf.random.split(stream, len(places))), strict=True))
    drawn = {name: VIEWS[name].draw for name in names if name in seeds}
    return {name: draw(seeds[name], shape) for name, draw in drawn.items() if draw is not None}
