"""The second pass of a fit on a cluster: the distances of all windows to the bank, each without what is left out with it."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from amsl_tf.data.findings import Findings
from amsl_tf.data.pieces import Pieces
from amsl_tf.data.source import Source
from amsl_tf.data.windows import CHUNK, hash_each
from amsl_tf.errors import DataError
from amsl_tf.scale.first_pass import SummaryTask
from amsl_tf.scoring.ensemble.ensemble import Ensemble, HeldOut, left_out_keys
from amsl_tf.training.recordings import WindowCounts, read_normal_windows


class HeldOutTask(NamedTuple):
    """The task of the second pass, see `Task`: the held-out distances of the windows of a recording.

    Attributes:
        first_task: The task of the first pass, which opens recordings.
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
        counts = WindowCounts(Findings(source.name))
        advice = "Wait until it is complete, and start again."
        changed = DataError(f"{source.name}: has other windows than in the first pass. {advice}")
        for x in _in_chunks(batch.x for batch, _ in read_normal_windows(source, self.first_task.plan, counts)):
            if len(x) > len(place):
                raise changed
            rows, place = np.array(place[: len(x)]), place[len(x) :]
            keys = window_keys(rows, hash_each(x), np.full(len(x), self.groups[number]), self.pieces)
            found.append(self.ensemble.measure_held_out(x, keys, self.bank_keys))
        if place:
            raise changed
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
