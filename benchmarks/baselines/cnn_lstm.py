"""CNN-LSTM that predicts the next time step.

The layers follow C-LSTM (Kim and Cho, Expert Systems with Applications 2018), a supervised classifier; as abnormal windows may
not be used, the prediction error replaces the classification.

Two causal convolutions with 64 filters, an LSTM with 64 units and a dense layer predict each time step from all steps before
it. The first steps, which have little context, do not count.
"""

import keras

from benchmarks.baselines.networks import network

FEATURES = 64
KERNEL = 5
FIRST = 10  # predicted step


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
