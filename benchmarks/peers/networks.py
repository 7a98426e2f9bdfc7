"""The training of networks with early stopping, with the settings of TSB-AD."""

from collections.abc import Callable

import keras
import numpy as np

EPOCHS = 50
BATCH_SIZE = 128
PATIENCE = 3  # epochs without a better validation loss
HELD_OUT = 0.2  # the share at the end of the training data


def train(
    build: Callable[[], keras.Model],
    inputs: np.ndarray,
    targets: np.ndarray,
    seed: int,
    learning_rate: Callable[[int], float],
    weight_decay: float = 0.0,
) -> keras.Model:
    """Trains a network with Adam on the mean squared error; the weights of the epoch with the best validation loss are kept.

    Args:
        build: Builds the network.
        inputs, targets: The training data, in the order of time.
        seed: The seed of the weights, of dropout and of the order of the batches.
        learning_rate: The learning rate of an epoch, counted from 0.
        weight_decay: The weight decay of Adam.
    """
    keras.utils.set_random_seed(seed)
    model = build()
    model.compile(keras.optimizers.Adam(weight_decay=weight_decay or None), "mse")
    held_out = max(1, round(HELD_OUT * len(inputs)))
    kept = max(1, len(inputs) - held_out)
    model.fit(
        inputs[:kept],
        targets[:kept],
        batch_size=BATCH_SIZE,
        epochs=EPOCHS,
        validation_data=(inputs[-held_out:], targets[-held_out:]),
        callbacks=[
            keras.callbacks.LearningRateScheduler(lambda epoch, _: learning_rate(epoch)),
            keras.callbacks.EarlyStopping("val_loss", patience=PATIENCE, restore_best_weights=True),
        ],
        verbose=0,
    )
    return model
