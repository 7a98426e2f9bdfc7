"""The objective `triplet`, after PaAno (Park and Kang, ICLR 2026): nearby patches are similar, and follow each other.

A patch is half a window. The triplet loss pulls it towards the patch that starts 1 or 2 time steps later, and away from the
farthest of the batch. A head also learns whether a second patch follows the first one, or is of another window. The
differences to the peer `paano` are the encoder, the scaling of its input, the length of patches, and the weight of the second
loss, which is 1 throughout.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

from benchmarks.objectives.encoder import BATCH, FILTERS, UNITS, build_head, draw, embed, fit_encoder
from benchmarks.objectives.interface import Networks, TrainingSet
from benchmarks.peers.paano import RADIUS, triplet_loss


def fit(data: TrainingSet, seed: int) -> Networks:
    """See `interface.Fit`."""
    steps = data.windows.shape[1]
    length = steps // 2
    projection, classifier = build_head(2 * FILTERS, UNITS, seed + 1), build_head(4 * FILTERS, 1, seed + 2)

    def batch(generator: np.random.Generator) -> Sequence[np.ndarray]:
        """Draws patches, similar ones and those that follow."""
        rows = draw(len(data.windows), generator)
        first = generator.integers(0, steps - 2 * length + 1, size=BATCH)
        shift = generator.integers(1, RADIUS + 1, size=BATCH)
        return [cut(data.windows, rows, start, length) for start in (first, first + shift, first + length)]

    def loss(encoder: Any, patches: Any, similar: Any, following: Any) -> Any:
        ours, near, later = (embed(encoder, part) for part in (patches, similar, following))
        follows, does_not = (
            classifier(ops.concatenate([ours, others], axis=1)) for others in (later, ops.roll(later, 1, axis=0))
        )
        pretext = ops.mean(ops.softplus(-follows)) + ops.mean(ops.softplus(does_not))
        return triplet_loss(projection(ours), projection(near)) + pretext

    return fit_encoder(data, batch, loss, [projection, classifier], seed)


def cut(windows: np.ndarray, rows: np.ndarray, starts: np.ndarray, length: int) -> np.ndarray:
    """Cuts a patch of each chosen window: float32 (B, length, S) from its own start."""
    patches: np.ndarray = windows[rows[:, None], starts[:, None] + np.arange(length)]
    return patches
