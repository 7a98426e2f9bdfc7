"""UODA (Lu et al., IEEE TIP 2017): denoising autoencoders of single steps, joined by a recurrent network.

A step with noise (deviation 0.1) is narrowed to 64 and 32 features; an LSTM of 32 puts it in the context of the steps before;
two layers give it back. The paper trains the autoencoders layer by layer first; here all is trained together.
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
