"""The use of memories: which slots the queries read, and how many."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from amsl_tf.networks.layers import Memory, TwinMemory

LOCAL = "local_"


class MemoryReads(NamedTuple):
    """The attention of N queries to a memory of K slots, aggregated; see `combine` for batches of queries.

    Attributes:
        attention: (K,), the attention to each slot, summed over queries.
        peak: (K,), the maximum attention of a single query to each slot.
        first: (K,), the number of queries with the largest attention to each slot.
        entropy: (), the entropy of the attention of a query in nats, summed over queries.
    """

    attention: Any
    peak: Any
    first: Any
    entropy: Any

    @classmethod
    def from_attention(cls, attention: Any) -> "MemoryReads":
        """Aggregates the attention of queries, float32 (N, K)."""
        is_reading = ops.cast(ops.max(attention, axis=1, keepdims=True) > 0, "float32")  # queries of MemAE may read nothing
        first = ops.sum(is_reading * ops.one_hot(ops.argmax(attention, axis=1), attention.shape[1]), axis=0)
        safe = ops.maximum(attention, 1e-30)  # 0 log 0 is 0
        entropy = -ops.sum(attention * ops.log(safe))
        return cls(ops.sum(attention, axis=0), ops.max(attention, axis=0), first, entropy)

    @classmethod
    def combine(cls, parts: Iterable["MemoryReads"]) -> "MemoryReads":
        """Aggregates the reads of several batches of queries, as float64 arrays."""
        attention, peak, first, entropy = (np.stack(column).astype(float) for column in zip(*parts, strict=True))
        return cls(attention.sum(axis=0), peak.max(axis=0), first.sum(axis=0), entropy.sum())

    @property
    def share(self) -> np.ndarray:
        """The share of the attention that each slot gets, (K,); sums to 1, or to 0 if nothing is read."""
        return self.attention / max(self.attention.sum(), 1.0)

    @property
    def dead(self) -> np.ndarray:
        """The slots whose attention is below 1 / K, that of uniform reading, for every query, bool (K,)."""
        return self.peak < 1 / len(self.peak)

    def usage(self) -> dict[str, float]:
        """Computes measures of the use of the memory, over the queries that read anything.

        Returns:
            `used_share`, the share of the slots that are the first choice of some query; `effective_slots`, the perplexity of
            the mean attention, from 1 (all queries read one slot) to K (all slots are read equally); `attention_entropy`, the
            mean entropy of the attention of a query in nats, from 0 (one slot) to log K; `dead_slots`, the number of dead
            slots.
        """
        share = self.share[self.share > 0]
        return {
            "used_share": float(np.mean(self.first > 0)),
            "effective_slots": float(np.exp(-np.sum(share * np.log(share)))),
            "attention_entropy": float(self.entropy / max(self.first.sum(), 1.0)),
            "dead_slots": float(self.dead.sum()),
        }


class Memories:
    """The memories of a network.

    Args:
        network: A network of `build_network`.

    Attributes:
        by_name: The memories by short name: `global`, `local_raw` and so on (AMSL), `memory` (MemAE, MNAD), `hippocampus`,
            `cortex` (RFTM).
    """

    def __init__(self, network: keras.Model) -> None:
        self._layers = [layer for layer in network.layers if isinstance(layer, (Memory, TwinMemory))]
        self.by_name: dict[str, Memory] = {_short_name(memory): memory for layer in self._layers for memory in layer.stages()}

    def reads(self, view: str, queries: Any) -> Iterator[tuple[str, MemoryReads]]:
        """Aggregates the attention to each memory that a view queries.

        Args:
            view: The name of the view.
            queries: The latents (N, F) of the view.

        Yields:
            The short name of a memory and its reads.
        """
        for layer in self._layers:
            if not _short_name(layer).startswith(LOCAL) or _short_name(layer) == LOCAL + view:
                for memory, stage in zip(layer.stages(), layer.stage_queries(queries), strict=True):
                    yield _short_name(memory), MemoryReads.from_attention(memory.attention(stage))


def _short_name(layer: keras.layers.Layer) -> str:
    return layer.name.replace("_memory", "")
