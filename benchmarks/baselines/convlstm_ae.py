"""ConvLSTM autoencoder (Luo et al., ICME 2017), of the window as a film of five frames.

Two convolutions with stride 2 (32 and 64 features) see each frame, a ConvLSTM of 64 sees the frames one after the other, and
two transposed convolutions give each frame back.
"""

import keras
from keras import layers

from benchmarks.baselines.networks import frames, network

FEATURES = (32, 64)


def build(shape: tuple[int, int]) -> keras.Model:
    film = keras.Input((5, shape[0] // 5, shape[1], 1))
    return keras.Model(film, decode(remember(encode(film)), film.shape[2:4]))


def encode(film: keras.KerasTensor) -> keras.KerasTensor:
    """Frames (B, 5, H, W, 1) to (B, 5, H / 4, W / 4, 64)."""
    for features in FEATURES:
        film = layers.TimeDistributed(layers.Conv2D(features, 3, 2, padding="same", activation="relu"))(film)
    return film


def remember(codes: keras.KerasTensor) -> keras.KerasTensor:
    return layers.ConvLSTM2D(FEATURES[-1], 3, padding="same", return_sequences=True)(codes)


def decode(codes: keras.KerasTensor, size: tuple[int, int]) -> keras.KerasTensor:
    """The way back, to frames of the size (H, W)."""
    film = layers.TimeDistributed(layers.Conv2DTranspose(FEATURES[0], 3, 2, padding="same", activation="relu"))(codes)
    film = layers.TimeDistributed(layers.Conv2DTranspose(1, 3, 2, padding="same"))(film)
    # what was rounded up on the way down is cut off
    return film[:, :, : size[0], : size[1]]


fit = network(build, inputs=frames, targets=frames)
