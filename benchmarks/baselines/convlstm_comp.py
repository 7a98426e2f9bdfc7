"""Composite ConvLSTM (Medel and Savakis, 2016): it gives back the frames that it has seen and predicts those to come.

Frames, encoder and decoder of a frame are those of ConvLSTM-AE. A ConvLSTM of 64 sees the first three frames; from its last
state one ConvLSTM gives them back, the last one first, and another goes on with the last two. The paper has such that get the
frame that they gave last, and such that get nothing; these get nothing.
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
    given = [_unroll(state, SEEN), _unroll(state, 5 - SEEN)]
    return keras.Model(film, decode(ops.concatenate(given, axis=1), film.shape[2:4]))


def _unroll(state: list[Any], count: int) -> Any:
    """So many codes (B, count, H, W, F) that follow from a state."""
    nothing = ops.zeros_like(ops.stack([state[0][..., :1]] * count, axis=1))
    return layers.ConvLSTM2D(FEATURES[-1], 3, padding="same", return_sequences=True)(nothing, initial_state=state)


def targets(x: np.ndarray) -> np.ndarray:
    """The frames that are seen, the last one first, then those to come."""
    film = frames(x)
    return np.concatenate([film[:, :SEEN][:, ::-1], film[:, SEEN:]], axis=1)


fit = network(build, inputs=lambda x: frames(x)[:, :SEEN], targets=targets)
