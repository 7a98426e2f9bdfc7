"""Composite ConvLSTM (Medel and Savakis, 2016): it gives back the frames that it has seen and predicts those to come.

Frames, encoder and decoder of a frame are those of ConvLSTM-AE. A ConvLSTM of 64 sees the first three frames; from its last
state one ConvLSTM gives them back, the last one first, and another goes on with the last two. Both are conditional: each step
gets what the step before has given.
"""

from typing import Any

import keras
import numpy as np
from keras import layers, ops

from benchmarks.baselines.convlstm_ae import FEATURES, decode, encode
from benchmarks.baselines.networks import frames, network

SEEN = 3  # of five frames


def build(shape: tuple[int, int]) -> keras.Model:
    film = keras.Input((SEEN, shape[0] // 5, shape[1], 1))
    codes = encode(film)
    _, *state = layers.ConvLSTM2D(FEATURES[-1], 3, padding="same", return_state=True)(codes)
    start = ops.zeros_like(codes[:, :1])
    given = [_unroll(start, state, SEEN), _unroll(start, state, 5 - SEEN)]
    return keras.Model(film, decode(ops.concatenate(given, axis=1), film.shape[2:4]))


def _unroll(frame: Any, state: list[Any], count: int) -> Any:
    """So many codes (B, count, H, W, F), each from the one before."""
    layer = layers.ConvLSTM2D(FEATURES[-1], 3, padding="same", return_sequences=True, return_state=True)
    codes = []
    for _ in range(count):
        frame, *state = layer(frame, initial_state=state)
        codes.append(frame)
    return ops.concatenate(codes, axis=1)


def targets(x: np.ndarray) -> np.ndarray:
    """The frames that are seen, the last one first, then those to come."""
    film = frames(x)
    return np.concatenate([film[:, :SEEN][:, ::-1], film[:, SEEN:]], axis=1)


fit = network(build, inputs=lambda x: frames(x)[:, :SEEN], targets=targets)
