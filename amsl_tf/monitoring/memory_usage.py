"""How memories are used: which of their slots queries read, and how many of them."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from amsl_tf.layers import Memory, TwinMemory

LOCAL = "local_"


class Reads(NamedTuple):
    """What N queries read of a memory of K slots, added up; parts of the queries can be added, see `joined`.

    Attributes:
        attention: (K,), the attention that a slot gets, summed over queries.
        peak: (K,), the most that a single query gives a slot.
        first: (K,), the number of queries that give a slot more than any other.
        entropy: (), the entropy of a query's attention in nats, summed over queries.
    """

    attention: Any
    peak: Any
    first: Any
    entropy: Any

    @classmethod
    def of(cls, attention: Any) -> "Reads":
        """From the attention of queries, float32 (N, K)."""
        reads = ops.cast(ops.max(attention, axis=1, keepdims=True) > 0, "float32")  # MemAE's queries may read nothing
        first = ops.sum(reads * ops.one_hot(ops.argmax(attention, axis=1), attention.shape[1]), axis=0)
        safe = ops.maximum(attention, 1e-30)  # 0 log 0 is 0
        entropy = -ops.sum(attention * ops.log(safe))
        return cls(ops.sum(attention, axis=0), ops.max(attention, axis=0), first, entropy)

    @classmethod
    def joined(cls, parts: Iterable["Reads"]) -> "Reads":
        """What all queries of some parts read, as float64 arrays."""
        attention, peak, first, entropy = (np.stack(column).astype(float) for column in zip(*parts, strict=True))
        return cls(attention.sum(axis=0), peak.max(axis=0), first.sum(axis=0), entropy.sum())

    @property
    def share(self) -> np.ndarray:
        """(K,), of the attention that each slot gets; sums to 1, or to 0 where nothing is read."""
        return self.attention / max(self.attention.sum(), 1.0)

    @property
    def dead(self) -> np.ndarray:
        """bool (K,), the slots that every query gives less than 1 / K, what blind reading would give them."""
        return self.peak < 1 / len(self.peak)

    def usage(self) -> dict[str, float]:
        """The use of the memory in four numbers, of the queries that read anything.

        `used_share`: Of the slots, those that are some query's first choice. `effective_slots`: The perplexity of the mean
        attention, from 1 (all queries read one slot) to K (all slots are read alike). `attention_entropy`: Of a query's
        attention in nats, the mean over queries, from 0 (one slot) to log K. `dead_slots`: How many are dead.
        """
        share = self.share[self.share > 0]
        return {
            "used_share": float(np.mean(self.first > 0)),
            "effective_slots": float(np.exp(-np.sum(share * np.log(share)))),
            "attention_entropy": float(self.entropy / max(self.first.sum(), 1.0)),
            "dead_slots": float(self.dead.sum()),
        }


class Memories:
    """The memories of a network, and what is read of them.

    Attributes:
        by_name: By short names: `global`, `local_raw` and so on (AMSL), `memory` (MemAE, MNAD), `hippocampus`, `cortex` (RFTM).
    """

    def __init__(self, network: keras.Model) -> None:
        self._layers = [layer for layer in network.layers if isinstance(layer, (Memory, TwinMemory))]
        self.by_name: dict[str, Memory] = {_short(memory): memory for layer in self._layers for memory in layer.stages()}

    def reads(self, view: str, queries: Any) -> Iterator[tuple[str, Reads]]:
        """What a view's latents (N, F) read of each memory that the view asks, with the memory's name."""
        for layer in self._layers:
            if not _short(layer).startswith(LOCAL) or _short(layer) == LOCAL + view:
                for memory, asked in zip(layer.stages(), layer.asked(queries), strict=True):
                    yield _short(memory), Reads.of(memory.attention(asked))


def _short(layer: keras.layers.Layer) -> str:
    return layer.name.replace("_memory", "")
