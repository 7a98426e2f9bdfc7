"""Dense autoencoder of time steps (Sakurada and Yairi, MLSDA 2014); settings of TSB-AD.

Dense layers with 128, 64 and 128 units, each with batch normalisation, ReLU and dropout of 0.2, and a dense output layer. The
learning rate is 0.001, the weight decay 0.00001. The score is the distance between a time step and its reconstruction.
Differences from TSB-AD: at most 10,000 training time steps, and early stopping; channels are standardised as for all peers, not
each time step by itself; no ReLU after the output layer, as standardised channels are negative too.
"""

import keras
import numpy as np
from keras import layers

from benchmarks.peers.adaptors import MAX_ITEMS, on_time_steps
from benchmarks.peers.interface import ItemScore
from benchmarks.peers.networks import train

UNITS = (128, 64, 128)
DROPOUT = 0.2
LEARNING_RATE = 1e-3
WEIGHT_DECAY = 1e-5


def build(channels: int) -> keras.Model:
    """Builds the network, (B, C) to (B, C)."""
    step = keras.Input((channels,))
    x = step
    for units in UNITS:
        x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(layers.Dense(units)(x)))
        x = layers.Dropout(DROPOUT)(x)
    return keras.Model(step, layers.Dense(channels)(x))


def method(normal: np.ndarray, seed: int) -> ItemScore:
    """Trains the network on time steps (N, C)."""
    model = train(lambda: build(normal.shape[1]), normal, normal, seed, lambda epoch: LEARNING_RATE, WEIGHT_DECAY)
    return lambda steps: np.linalg.norm(steps - model.predict(steps, batch_size=len(steps), verbose=0), axis=1)


fit = on_time_steps(method, MAX_ITEMS)
