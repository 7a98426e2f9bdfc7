"""Composite ConvLSTM (Medel and Savakis, 2016), which reconstructs past frames and predicts future ones.

Frames, frame encoder and frame decoder are those of ConvLSTM-AE. A ConvLSTM with 64 filters processes the first three frames.
From its last state one ConvLSTM reconstructs them in reverse order, and another predicts the last two. The decoders are
unconditioned: they do not get the frame that they generated last. The paper has both variants.
"""

from typing import Any

import keras
import numpy as np
from keras import layers, ops

from benchmarks.baselines.convlstm_ae import FEATURES, decode, encode
from benchmarks.baselines.networks import frames, network

PAST = 3  # of five frames


def build(shape: tuple[int, int]) -> keras.Model:
    video = keras.Input((PAST, shape[0] // 5, shape[1], 1))
    codes = encode(video)
    _, *state = layers.ConvLSTM2D(FEATURES[-1], 3, padding="same", return_state=True)(codes)
    decoded = [_unroll(state, PAST), _unroll(state, 5 - PAST)]
    return keras.Model(video, decode(ops.concatenate(decoded, axis=1), video.shape[2:4]))


def _unroll(state: list[Any], count: int) -> Any:
    """Generates a sequence of codes (B, count, H, W, F) from a state."""
    empty = ops.zeros_like(ops.stack([state[0][..., :1]] * count, axis=1))
    return layers.ConvLSTM2D(FEATURES[-1], 3, padding="same", return_sequences=True)(empty, initial_state=state)


def targets(x: np.ndarray) -> np.ndarray:
    """Returns the past frames in reverse order, then the future ones, (N, 5, T // 5, C, 1)."""
    video = frames(x)
    return np.concatenate([video[:, :PAST][:, ::-1], video[:, PAST:]], axis=1)


fit = network(build, inputs=lambda x: frames(x)[:, :PAST], targets=targets)
