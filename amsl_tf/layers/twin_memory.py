"""RFTM's twin memory, as this project reads it."""

from typing import Any

import keras
from keras import layers, ops

from amsl_tf.layers.forgetting_memory import ForgettingMemory
from amsl_tf.layers.memory import Memory
from amsl_tf.layers.wide import wide_dtype

MOMENTUM, EPSILON = 0.9, 1e-5  # of the batch normalization; with Keras' 1e-3 reads, which vary by less, would stay small
SLOPE = 0.01  # of the leaky rectifier below 0


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
        Returns (..., F), or (..., 2 F) for `both`, float32 at least.
    """

    def __init__(
        self, hippocampus: ForgettingMemory, cortex: ForgettingMemory, reintegration: str = "cortex", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if reintegration not in ("cortex", "both"):
            raise ValueError(f"reintegration must be cortex or both. Received: {reintegration!r}.")
        self.hippocampus, self.cortex, self.reintegration = hippocampus, cortex, reintegration
        dtype = wide_dtype(self.compute_dtype)
        self._norms = [
            layers.BatchNormalization(momentum=MOMENTUM, epsilon=EPSILON, name=f"{part}_norm", dtype=dtype)
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
        return cls(**{**config, **{part: layers.deserialize(config[part]) for part in ("hippocampus", "cortex")}})
