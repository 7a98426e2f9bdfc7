"""ConvLSTM autoencoder (Luo et al., ICME 2017) of the window as a video of five frames.

Two convolutions with stride 2 (32 and 64 filters) encode each frame, a ConvLSTM with 64 filters processes the sequence of
frames, and two transposed convolutions reconstruct each frame.
"""

import keras
from keras import layers

from benchmarks.baselines.networks import frames, network

FEATURES = (32, 64)


def build(shape: tuple[int, int]) -> keras.Model:
    video = keras.Input((5, shape[0] // 5, shape[1], 1))
    return keras.Model(video, decode(recur(encode(video)), video.shape[2:4]))


def encode(video: keras.KerasTensor) -> keras.KerasTensor:
    """Encodes frames, (B, 5, H, W, 1) to (B, 5, H / 4, W / 4, 64)."""
    for features in FEATURES:
        video = layers.TimeDistributed(layers.Conv2D(features, 3, 2, padding="same", activation="relu"))(video)
    return video


def recur(codes: keras.KerasTensor) -> keras.KerasTensor:
    return layers.ConvLSTM2D(FEATURES[-1], 3, padding="same", return_sequences=True)(codes)


def decode(codes: keras.KerasTensor, size: tuple[int, int]) -> keras.KerasTensor:
    """Decodes to frames of the size (H, W)."""
    video = layers.TimeDistributed(layers.Conv2DTranspose(FEATURES[0], 3, 2, padding="same", activation="relu"))(codes)
    video = layers.TimeDistributed(layers.Conv2DTranspose(1, 3, 2, padding="same"))(video)
    # strides round sizes up: the excess is cropped
    return video[:, :, : size[0], : size[1]]


fit = network(build, inputs=frames, targets=frames)
