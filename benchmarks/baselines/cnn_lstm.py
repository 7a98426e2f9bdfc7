"""CNN-LSTM, which predicts the next step.

Layers after C-LSTM (Kim and Cho, Expert Systems with Applications 2018), which is a classifier and needs abnormal windows to
learn from; as none may be used, the error of a prediction takes its place.

Two causal convolutions of 64 features, an LSTM of 64, and a dense layer predict each time step from all before it. The first
steps, which have little before them, do not count.
"""

import keras

from benchmarks.baselines.networks import network

FEATURES = 64
KERNEL = 5
FIRST = 10  # step that is predicted


def build(shape: tuple[int, int]) -> keras.Model:
    steps, channels = shape
    return keras.Sequential(
        [
            keras.Input((steps - 1, channels)),
            keras.layers.Conv1D(FEATURES, KERNEL, padding="causal", activation="relu"),
            keras.layers.Conv1D(FEATURES, KERNEL, padding="causal", activation="relu"),
            keras.layers.LSTM(FEATURES, return_sequences=True),
            keras.layers.Dense(channels),
            keras.layers.Cropping1D((FIRST - 1, 0)),
        ]
    )


fit = network(build, inputs=lambda x: x[:, :-1], targets=lambda x: x[:, FIRST:])
