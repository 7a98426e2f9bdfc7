"""The third pass of a fit on a cluster: the distances of all windows to the bank, each without what is left out with it."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from amsl_tf.data.pieces import Pieces
from amsl_tf.data.source import Source
from amsl_tf.data.windows import CHUNK, hash_each
from amsl_tf.scale.summary import SummaryTask
from amsl_tf.scoring.ensemble.ensemble import Ensemble, HeldOut, left_out_keys


class HeldOutTask(NamedTuple):
    """The task of the third pass, see `Task`: the held-out distances of the windows of a recording.

    Attributes:
        first_task: The task of the first pass.
        ensemble: The ensemble with its bank.
        bank_keys: The keys of the windows of the bank.
        places: The positions of the windows of each recording among all, by the number of the recording.
        groups: The group of each recording, likewise.
        pieces: The pieces of all windows, or None if groups are left out.
    """

    first_task: SummaryTask
    ensemble: Ensemble
    bank_keys: list[np.ndarray]
    places: dict[int, range]
    groups: dict[int, int]
    pieces: Pieces | None

    def open(self, recording: Any) -> Source:
        return self.first_task.open(recording)

    def process(self, number: int, source: Source) -> HeldOut:
        found, place = [], self.places[number]
        for x in _in_chunks(self.first_task.read_again(source, len(place))):
            rows, place = np.array(place[: len(x)]), place[len(x) :]
            keys = window_keys(rows, hash_each(x), np.full(len(x), self.groups[number]), self.pieces)
            found.append(self.ensemble.measure_held_out(x, keys, self.bank_keys))
        return HeldOut.join(found)


def window_keys(rows: np.ndarray, hashes: np.ndarray, groups: np.ndarray, pieces: Pieces | None) -> list[np.ndarray]:
    """Returns the keys of windows, see `left_out_keys`, from hashes, see `hash_each`; groups count without pieces alone."""
    return left_out_keys(rows, np.where(hashes < 0, -1 - rows, hashes), groups if pieces is None else None, pieces)


def _in_chunks(batches: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Yields windows in parts of `CHUNK` or a few more, float32 (n, T, C)."""
    waiting: list[np.ndarray] = []
    for batch in batches:
        waiting.append(batch)
        if sum(map(len, waiting)) >= CHUNK:
            yield np.concatenate(waiting)
            waiting = []
    if sum(map(len, waiting)):
        yield np.concatenate(waiting)
