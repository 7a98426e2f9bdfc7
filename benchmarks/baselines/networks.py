"""The fit of networks that predict a target from an input, both made from the same window, with early stopping."""

from collections.abc import Callable
from functools import partial
from typing import Any

import keras
import numpy as np

from benchmarks.baselines.held_out import TrainedModel, fit_held_out
from benchmarks.baselines.interface import Fit

BATCH_SIZE = 32
LEARNING_RATE = 1e-3
PATIENCE = 5  # epochs without a better validation loss
MAX_EPOCHS = 300

Make = Callable[[np.ndarray], np.ndarray]  # windows (N, T, C) to the inputs or the targets of the network
ErrorScore = Callable[[np.ndarray], np.ndarray]  # errors (N, ...) to scores (N,)


def mean_square(errors: np.ndarray) -> np.ndarray:
    """Computes the mean of the squared errors of each window, (N, ...) to (N,)."""
    squares: np.ndarray = np.square(errors).mean(axis=tuple(range(1, errors.ndim)))
    return squares


def identity(x: np.ndarray) -> np.ndarray:
    """Returns the windows."""
    return x


def network(
    build: Callable[[tuple[int, int]], keras.Model],
    inputs: Make = identity,
    targets: Make = identity,
    fit_score: Callable[[np.ndarray], ErrorScore] | None = None,
) -> Fit:
    """Returns the function `fit` of a baseline.

    Args:
        build: Builds the network for windows (T, C); a compiled network keeps its optimizer and loss.
        inputs: Makes the inputs of the network.
        targets: Makes its targets.
        fit_score: Fits a score of errors, targets minus outputs, to those of the training windows; None for `mean_square`.
    """

    def train(train: np.ndarray, held_out: np.ndarray, seed: int) -> TrainedModel:
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
            validation_data=(inputs(held_out), targets(held_out)),
            callbacks=[stopping],
            verbose=2,
        )
        score = mean_square if fit_score is None else fit_score(errors(model, train))
        selected = {"epochs": len(history.history["loss"]), "validation loss": float(min(history.history["val_loss"]))}
        return TrainedModel(lambda x: score(errors(model, x)), model.count_params(), selected)

    def errors(model: Any, x: np.ndarray) -> np.ndarray:
        outputs: np.ndarray = model.predict(inputs(x), batch_size=BATCH_SIZE, verbose=0)
        return targets(x) - outputs

    return partial(fit_held_out, train)


def frames(x: np.ndarray) -> np.ndarray:
    """Splits windows into five frames, (N, T, C) to (N, 5, T // 5, C, 1); remaining steps at the end are dropped."""
    count = 5
    length = x.shape[1] // count
    return x[:, : count * length].reshape(len(x), count, length, x.shape[2], 1)
