"""The encoder that objectives have in common, and its training."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

from benchmarks.objectives.interface import Networks, TrainingSet

FILTERS = 40
CONVOLUTIONS = ((9, 1), (5, 2), (3, 4))  # length and dilation; together they see 25 time steps
STEPS = 200
BATCH = 64
LEARNING_RATE = 1e-3
SMALLEST = 1e-4  # added to variances before the square root, whose gradient is infinite at 0
TEMPERATURE = 0.2  # of the contrastive loss
UNITS = 64  # of heads, which are used in training only

Batch = Callable[[np.random.Generator], Sequence[np.ndarray]]
Loss = Callable[..., Any]  # the encoder and the arrays of a batch to a number


def build(sensors: int, seed: int) -> keras.Model:
    """Builds the encoder, windows (B, T, S) to maps (B, T, FILTERS), for any T."""
    windows = x = keras.Input((None, sensors))
    seeds = np.random.default_rng(seed).integers(2**31, size=len(CONVOLUTIONS))
    for (length, dilation), number in zip(CONVOLUTIONS, seeds, strict=True):
        x = layers.Conv1D(
            FILTERS,
            length,
            dilation_rate=dilation,
            padding="same",
            activation="relu",
            kernel_initializer=keras.initializers.HeNormal(int(number)),
        )(x)
    return keras.Model(windows, x)


def build_head(inputs: int, outputs: int, seed: int) -> keras.Model:
    """Builds a network of two dense layers, (B, inputs) to (B, outputs)."""
    first, second = (keras.initializers.HeNormal(int(number)) for number in np.random.default_rng(seed).integers(2**31, size=2))
    return keras.Sequential(
        [
            keras.Input((inputs,)),
            layers.Dense(UNITS, activation="relu", kernel_initializer=first),
            layers.Dense(outputs, kernel_initializer=second),
        ]
    )


def embed(encoder: keras.Model, windows: Any) -> Any:
    """Computes the mean and the standard deviation of each map over time: (B, T, S) to (B, 2 * FILTERS)."""
    maps = encoder(windows)
    return ops.concatenate([ops.mean(maps, axis=1), ops.sqrt(ops.var(maps, axis=1) + SMALLEST)], axis=1)


def forward_flops(steps: int, sensors: int) -> float:
    """Counts the floating-point operations of the convolutions for a window (T, S)."""
    inputs, total = sensors, 0
    for length, _ in CONVOLUTIONS:
        total += 2 * steps * length * inputs * FILTERS
        inputs = FILTERS
    return float(total)


def fit_encoder(data: TrainingSet, batch: Batch, loss: Loss, heads: Sequence[keras.Model], seed: int) -> Networks:
    """Trains the encoder with Adam.

    Args:
        data: The training set.
        batch: Draws the arrays of a batch.
        loss: The loss of the encoder and of these arrays.
        heads: Further networks that are trained, and not used afterwards.
        seed: The seed of the initial weights of the encoder and of the batches.
    """
    steps, sensors = data.windows.shape[1:]
    encoder, twin = build(sensors, seed), build(sensors, seed)
    variables = [variable for network in (encoder, *heads) for variable in network.trainable_variables]
    optimizer = keras.optimizers.Adam(LEARNING_RATE)
    optimizer.build(variables)

    @tf.function(autograph=False)
    def step(*arrays: Any) -> None:
        with tf.GradientTape() as tape:
            value = loss(encoder, *arrays)
        optimizer.apply(tape.gradient(value, [variable.value for variable in variables]), variables)

    generator = np.random.default_rng(seed)
    for _ in range(STEPS):
        step(*(tf.constant(array) for array in batch(generator)))
    trained, untrained = (tf.function(partial(embed, network), autograph=False) for network in (encoder, twin))
    return Networks(trained, untrained, "encoder", forward_flops(steps, sensors))


def draw(count: int, generator: np.random.Generator) -> np.ndarray:
    """Draws the positions of a batch from 0 to `count` - 1, without repeats if there are enough."""
    return generator.choice(count, BATCH, replace=count < BATCH)


def contrastive_loss(ours: Any, others: Any) -> Any:
    """Computes the InfoNCE loss of two embeddings (B, D): each row is to be nearer to its partner than to all others."""
    logits = ops.matmul(ops.normalize(ours, axis=-1), ops.transpose(ops.normalize(others, axis=-1))) / TEMPERATURE
    partners = ops.diagonal(logits)
    return ops.mean(ops.logsumexp(logits, axis=1) + ops.logsumexp(logits, axis=0) - 2 * partners) / 2
