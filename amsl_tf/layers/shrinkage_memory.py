"""MemAE's memory."""

from typing import Any

import keras
from keras import ops

from amsl_tf.layers.memory import Memory

EPSILON = 1e-12  # of the paper


@keras.saving.register_keras_serializable(package="amsl_tf")
class ShrinkageMemory(Memory):
    """Replaces each query by a mixture of the few slots that are most like it (MemAE, Gong et al. 2019, section 3.3).

    For a query q and the slots M, with l = shrink_threshold / K:

        w = softmax(q M^T)                             equation 4, with the dot product of the authors' code
        w^ = max(w - l, 0) w / (|w - l| + 1e-12)       equation 7: hard shrinkage
        w^ <- w^ / sum_k w^_k,   read = w^ M           equation 3
        entropy = -sum_k w^_k log w^_k                 equation 9

    A w^ that is all 0 stays so: the read is 0, and nothing is learned from the query. It takes l > 1 / K, or a w that is the
    same for all slots. Products are computed in the precision of the layer's dtype policy, all else in float32.

    Args:
        num_slots: Number of slots K.
        shrink_threshold: In units of 1 / K, at least 0 (no shrinkage) and below K.
        seed: Of the initial slots, which are uniform within +-1 / sqrt(F).

    Call:
        queries: (..., F).
        Returns the read (..., F) and the entropy (...), both float32.
    """

    def __init__(self, num_slots: int, shrink_threshold: float = 1.0, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(num_slots, seed, **kwargs)
        if not 0 <= shrink_threshold < num_slots:
            raise ValueError(f"shrink_threshold must be at least 0 and below num_slots. Received: {shrink_threshold}.")
        self.shrink_threshold = shrink_threshold

    def call(self, queries: Any) -> tuple[Any, Any]:
        weights = self._address(queries)
        read = ops.matmul(ops.cast(weights, self.compute_dtype), ops.cast(self.slots, self.compute_dtype))
        entropy = -ops.sum(weights * ops.log(weights + EPSILON), axis=-1)
        return ops.cast(read, "float32"), entropy

    def attention(self, queries: Any) -> Any:
        return self._address(ops.cast(queries, self.compute_dtype))

    def _address(self, queries: Any) -> Any:
        logits = ops.matmul(queries, ops.transpose(ops.cast(self.slots, self.compute_dtype)))
        weights = ops.softmax(ops.cast(logits, "float32"))
        above = weights - self.shrink_threshold / self.num_slots
        shrunk = ops.relu(above) * weights / (ops.abs(above) + EPSILON)
        return shrunk / ops.maximum(ops.sum(shrunk, axis=-1, keepdims=True), EPSILON)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "shrink_threshold": self.shrink_threshold}
