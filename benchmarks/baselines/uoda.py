"""UODA (Lu et al., IEEE TIP 2017): denoising autoencoders of single time steps, joined by a recurrent network.

Two dense layers (64 and 32 units) encode a time step with added noise (standard deviation 0.1), an LSTM with 32 units adds the
context of previous steps, and two dense layers decode it. The paper pretrains the autoencoders layer by layer; here everything
is trained jointly.
"""

import keras
from keras import layers

from benchmarks.baselines.networks import network

NOISE = 0.1
FEATURES = (64, 32)


def build(shape: tuple[int, int]) -> keras.Model:
    return keras.Sequential(
        [
            keras.Input(shape),
            layers.GaussianNoise(NOISE),
            layers.Dense(FEATURES[0], activation="relu"),
            layers.Dense(FEATURES[1], activation="relu"),
            layers.LSTM(FEATURES[1], return_sequences=True),
            layers.Dense(FEATURES[0], activation="relu"),
            layers.Dense(shape[1]),
        ]
    )


fit = network(build)
