"""RFTM's twin memory, as this project reads it."""

from typing import Any

import keras
from keras import layers, ops

from amsl_tf.layers.memory import Memory

TINY = 1e-12
MOMENTUM, EPSILON = 0.9, 1e-5  # of the batch normalization; with Keras' 1e-3 reads, which vary by less, would stay small
SLOPE = 0.01  # of the leaky rectifier below 0


@keras.saving.register_keras_serializable(package="amsl_tf")
class ForgettingMemory(Memory):
    """A memory that forgets some of its slots in every step of a training, so that no query can rely on one of them.

    For a query q and the slots M (a unit of the Cascade-Memory, ECAI 2024; see `TwinMemory`):

        s_k = cos(q, m_k); in training 0 for floor(forgetting K) slots, drawn anew for every batch
        w = softmax of max(s, 0) over the top_k largest s, 0 for the others,    read = w M

    Products are computed in the precision of the layer's dtype policy, all else in float32.

    Args:
        num_slots: Number of slots K.
        forgetting: Share of the slots that are forgotten, at least 0 and below 1.
        top_k: Slots that are read, 1 to K.
        seed: Of the initial slots, which are uniform within +-1 / sqrt(F), and of what is forgotten.

    Call:
        queries: (..., F).
        training: Whether slots are forgotten.
        Returns the read, float32 (..., F).
    """

    def __init__(self, num_slots: int, forgetting: float, top_k: int, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(num_slots, seed, **kwargs)
        if not 0 <= forgetting < 1:
            raise ValueError(f"forgetting must be at least 0 and below 1. Received: {forgetting}.")
        if not 1 <= top_k <= num_slots:
            raise ValueError(f"top_k must be 1 to num_slots. Received: {top_k}, with {num_slots} slots.")
        self.forgetting = forgetting
        self.top_k = top_k
        self._draws = keras.random.SeedGenerator(seed)

    def call(self, queries: Any, training: bool = False) -> Any:
        similarity = self._similarity(queries)
        forgotten = int(self.forgetting * self.num_slots)
        if training and forgotten:
            kept = ops.cast(ops.arange(self.num_slots) >= forgotten, "float32")
            similarity = similarity * keras.random.shuffle(kept, seed=self._draws)
        weights, chosen = self._address(similarity)
        read = ops.take(ops.cast(self.slots, "float32"), chosen, axis=0)
        return ops.sum(weights[..., None] * read, axis=-2)

    def attention(self, queries: Any) -> Any:
        weights, chosen = self._address(self._similarity(ops.cast(queries, self.compute_dtype)))
        return ops.sum(weights[..., None] * ops.one_hot(chosen, self.num_slots), axis=-2)

    def _similarity(self, queries: Any) -> Any:
        """Cosines of the angles between queries (..., F) and slots, float32 (..., K); 0 for a query of zeros."""
        products = ops.matmul(_unit(queries, self.compute_dtype), ops.transpose(_unit(self.slots, self.compute_dtype)))
        return ops.cast(products, "float32")

    def _address(self, similarity: Any) -> tuple[Any, Any]:
        """The weights of the slots that are read (..., top_k), and which they are."""
        highest, chosen = ops.top_k(similarity, self.top_k)
        return ops.softmax(ops.relu(highest)), chosen

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "forgetting": self.forgetting, "top_k": self.top_k}


@keras.saving.register_keras_serializable(package="amsl_tf")
class TwinMemory(layers.Layer):
    """Two memories in cascade, a small `hippocampus` and a large `cortex` that reads what the first returns.

    Of RFTM ("Learn to Know Unknowns: A Bionic Memory Network") it is known that two such memories decompose the latent, that
    they forget at random, and that how their reads are put together can be chosen; its equations are not at hand. The units,
    their order and the defaults of `RFTMConfig` are those of the closest public description, the Cascade-Memory (ECAI 2024);
    `reintegration="both"` is this project's reading.

        h = leaky_relu(batch_norm(hippocampus(q))),    c = leaky_relu(batch_norm(cortex(h)))

    Args:
        hippocampus, cortex: The two memories.
        reintegration: What is returned: `cortex`, c; or `both`, h and c side by side.

    Call:
        queries: (..., F).
        training: Whether slots are forgotten and batch statistics used.
        Returns float32 (..., F), or (..., 2 F) for `both`.
    """

    def __init__(
        self, hippocampus: ForgettingMemory, cortex: ForgettingMemory, reintegration: str = "cortex", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if reintegration not in ("cortex", "both"):
            raise ValueError(f"reintegration must be cortex or both. Received: {reintegration!r}.")
        self.hippocampus, self.cortex, self.reintegration = hippocampus, cortex, reintegration
        self._norms = [
            layers.BatchNormalization(momentum=MOMENTUM, epsilon=EPSILON, name=f"{part}_norm", dtype="float32")
            for part in ("hippocampus", "cortex")
        ]

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        for part in (self.hippocampus, self.cortex, *self._norms):
            if not part.built:  # those of a layer that is read from a file are
                part.build((None, input_shape[-1]))

    def call(self, queries: Any, training: bool = False) -> Any:
        shape = ops.shape(queries)
        first = self._remember(0, self.hippocampus(ops.reshape(queries, (-1, shape[-1])), training=training), training)
        second = self._remember(1, self.cortex(first, training=training), training)
        kept = [second] if self.reintegration == "cortex" else [first, second]
        return ops.concatenate([ops.reshape(part, shape) for part in kept], axis=-1)

    def _remember(self, part: int, read: Any, training: bool) -> Any:
        return ops.leaky_relu(self._norms[part](read, training=training), SLOPE)

    def stages(self) -> list[Memory]:
        """The memories that are read one after the other."""
        return [self.hippocampus, self.cortex]

    def asked(self, queries: Any) -> list[Any]:
        """What each stage is asked outside of training, (N, F) each, where the first is asked queries (N, F)."""
        return [queries, self._remember(0, self.hippocampus(queries, training=False), training=False)]

    def get_config(self) -> dict[str, Any]:
        parts = {part: layers.serialize(getattr(self, part)) for part in ("hippocampus", "cortex")}
        return {**super().get_config(), **parts, "reintegration": self.reintegration}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "TwinMemory":
        parts = {part: layers.deserialize(config.pop(part)) for part in ("hippocampus", "cortex")}
        return cls(**parts, **config)


def _unit(vectors: Any, dtype: str) -> Any:
    """Vectors (..., F) of length 1, those of zeros left so."""
    return ops.cast(ops.normalize(ops.cast(vectors, "float32"), axis=-1, epsilon=TINY), dtype)
