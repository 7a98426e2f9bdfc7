"""Networks that are trained to give a target from an input, both made of the same window, until the validation loss stops."""

from collections.abc import Callable
from functools import partial
from typing import Any

import keras
import numpy as np

from benchmarks.baselines.held_back import Trained, fit_held_back
from benchmarks.baselines.interface import Fit

BATCH_SIZE = 32
LEARNING_RATE = 1e-3
PATIENCE = 5  # epochs without a better validation loss
MAX_EPOCHS = 300

Make = Callable[[np.ndarray], np.ndarray]  # of windows (N, T, C): what the network gets, or what it should give
Rate = Callable[[np.ndarray], np.ndarray]  # of errors (N, ...): scores (N,)


def mean_square(errors: np.ndarray) -> np.ndarray:
    """The mean of each window's squared errors."""
    squares: np.ndarray = np.square(errors).mean(axis=tuple(range(1, errors.ndim)))
    return squares


def whole(x: np.ndarray) -> np.ndarray:
    """The window itself."""
    return x


def network(
    build: Callable[[tuple[int, int]], keras.Model],
    inputs: Make = whole,
    targets: Make = whole,
    fit_rate: Callable[[np.ndarray], Rate] | None = None,
) -> Fit:
    """A baseline.

    Args:
        build: Makes the network for windows (T, C); one that is compiled keeps its way of training.
        inputs: What of a window the network gets.
        targets: What it should give.
        fit_rate: Fitted to the differences between targets and what was given, of training windows, makes scores of those of
            others; if None, scores are their mean squares.
    """

    def train(train: np.ndarray, held_back: np.ndarray, seed: int) -> Trained:
        keras.utils.set_random_seed(seed)
        model = build(train.shape[1:])
        if not model.compiled:
            model.compile(keras.optimizers.Adam(LEARNING_RATE), "mse")
        stopping = keras.callbacks.EarlyStopping("val_loss", patience=PATIENCE, restore_best_weights=True)
        history = model.fit(
            inputs(train),
            targets(train),
            batch_size=BATCH_SIZE,
            epochs=MAX_EPOCHS,
            validation_data=(inputs(held_back), targets(held_back)),
            callbacks=[stopping],
            verbose=2,
        )
        rate = mean_square if fit_rate is None else fit_rate(errors(model, train))
        about = {"epochs": len(history.history["loss"]), "validation loss": float(min(history.history["val_loss"]))}
        return Trained(lambda x: rate(errors(model, x)), model.count_params(), about)

    def errors(model: Any, x: np.ndarray) -> np.ndarray:
        given: np.ndarray = model.predict(inputs(x), batch_size=BATCH_SIZE, verbose=0)
        return targets(x) - given

    return partial(fit_held_back, train)


def frames(x: np.ndarray) -> np.ndarray:
    """A window as a short film: (N, T, C) to (N, 5, T // 5, C, 1); steps that are left over at the end are left out."""
    count = 5
    length = x.shape[1] // count
    return x[:, : count * length].reshape(len(x), count, length, x.shape[2], 1)
