"""MemAE's memory."""

from typing import Any

import keras

from amsl_tf.layers.memory import Memory
from amsl_tf.layers.softmax_memory import SoftmaxMemory


@keras.saving.register_keras_serializable(package="amsl_tf")
class ShrinkageMemory(SoftmaxMemory):
    """Replaces each query by a mixture of the few slots that are most like it (MemAE, Gong et al. 2019, section 3.3).

    For a query q and the slots M, with l = shrink_threshold / K:

        w = softmax(q M^T)                             equation 4, with the dot product of the authors' code
        w^ = w where w > l, else 0                     equation 6: hard shrinkage
        w^ <- w^ / sum_k w^_k,   read = w^ M           equation 3
        entropy = -sum_k w^_k log w^_k                 equation 9

    The paper computes max(w - l, 0) w / (|w - l| + 1e-12) in place of equation 6, which is the same, gradients included, but
    within 1e-12 of l. A w^ that is all 0 stays so: the read is 0, and nothing is learned from the query. It takes l > 1 / K, or
    a w that is the same for all slots. Precision is that of a `SoftmaxMemory`.

    Args:
        num_slots: Number of slots K.
        shrink_threshold: In units of 1 / K, at least 0 (no shrinkage) and below K.
        seed: Of the initial slots, which are uniform within +-1 / sqrt(F).

    Call:
        queries: (..., F).
        Returns the read (..., F) and the entropy (...), both float32 at least.
    """

    def __init__(self, num_slots: int, shrink_threshold: float = 1.0, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(num_slots, seed, **kwargs)
        if not 0 <= shrink_threshold < num_slots:
            raise ValueError(f"shrink_threshold must be at least 0 and below num_slots. Received: {shrink_threshold}.")
        self.shrink_threshold = shrink_threshold
        self.least = shrink_threshold / num_slots

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        Memory.build(self, input_shape)  # slots begin as in MemAE's code, not as AMSL's

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "shrink_threshold": self.shrink_threshold}
