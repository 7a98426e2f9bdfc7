"""The twin memory of RFTM."""

from typing import Any

import keras
from keras import layers, ops

from amsl_tf.networks.layers.batch_normalization import BatchNormalization
from amsl_tf.networks.layers.forgetting_memory import ForgettingMemory
from amsl_tf.networks.layers.memory import Memory
from amsl_tf.networks.layers.upcast import upcast_dtype

MOMENTUM, EPSILON = 0.9, 1e-5  # of the batch normalization; Keras' epsilon of 1e-3 exceeds the variance of the reads
SLOPE = 0.01  # negative slope of the leaky ReLU


@keras.saving.register_keras_serializable(package="amsl_tf")
class TwinMemory(layers.Layer):
    """Two memories in cascade: a small `hippocampus`, and a large `cortex` that reads the output of the first.

        h = leaky_relu(batch_norm(hippocampus(q))),    c = leaky_relu(batch_norm(cortex(h)))

    The publication of RFTM states that two memories decompose the latent, that they forget at random, and that the combination
    of their reads is a choice; its equations were not available. The units, their order and the defaults of `RFTMConfig` follow
    the closest public description, the Cascade-Memory (ECAI 2024); `reintegration="both"` is an interpretation.

    Args:
        hippocampus, cortex: The two memories.
        reintegration: The output: `cortex` returns c, `both` h and c, concatenated.

    Call arguments:
        queries: (..., F).
        training: Whether slots are forgotten and batch statistics are used.

    Returns:
        (..., F), or (..., 2 F) for `both`, float32 at least.

    Reference:
        Learn to Know Unknowns: A Bionic Memory Network (RFTM); Cascade-Memory, ECAI 2024.
    """

    def __init__(
        self, hippocampus: ForgettingMemory, cortex: ForgettingMemory, reintegration: str = "cortex", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if reintegration not in ("cortex", "both"):
            raise ValueError(f"reintegration must be cortex or both. Received: {reintegration!r}.")
        self.hippocampus, self.cortex, self.reintegration = hippocampus, cortex, reintegration
        dtype = upcast_dtype(self.compute_dtype)
        self._norms = [
            BatchNormalization(momentum=MOMENTUM, epsilon=EPSILON, name=f"{part}_norm", dtype=dtype)
            for part in ("hippocampus", "cortex")
        ]

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        parts: list[Any] = [self.hippocampus, self.cortex, *self._norms]
        for part in parts:
            if not part.built:  # the parts of a deserialised layer are built already
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
        """Returns the memories that are read in sequence."""
        return [self.hippocampus, self.cortex]

    def stage_queries(self, queries: Any) -> list[Any]:
        """Computes the queries (N, F) of each stage at inference from those of the first stage (N, F)."""
        return [queries, self._remember(0, self.hippocampus(queries, training=False), training=False)]

    def get_config(self) -> dict[str, Any]:
        parts = {part: layers.serialize(getattr(self, part)) for part in ("hippocampus", "cortex")}
        return {**super().get_config(), **parts, "reintegration": self.reintegration}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "TwinMemory":
        return cls(**{**config, **{part: layers.deserialize(config[part]) for part in ("hippocampus", "cortex")}})
