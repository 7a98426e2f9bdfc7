"""The memory of MemAE."""

from typing import Any

import keras

from amsl_tf.networks.layers.memory import Memory
from amsl_tf.networks.layers.softmax_memory import SoftmaxMemory


@keras.saving.register_keras_serializable(package="amsl_tf")
class ShrinkageMemory(SoftmaxMemory):
    """A memory that replaces each query by a sparse mixture of the slots most similar to it.

    For a query q and the slots M, with l = shrink_threshold / K (section 3.3 of the MemAE paper):

        w = softmax(q M^T)                             equation 4, with the dot product of the authors' code
        w^ = w where w > l, else 0                     equation 6: hard shrinkage
        w^ <- w^ / sum_k w^_k,   read = w^ M           equation 3
        entropy = -sum_k w^_k log w^_k                 equation 9

    The paper replaces equation 6 by max(w - l, 0) w / (|w - l| + 1e-12), which is equal except within 1e-12 of l, gradients
    included. Where all w^ are 0, which needs l > 1 / K or uniform attention, the read is 0 and the query gets no gradient. The
    precision is that of a `SoftmaxMemory`.

    Args:
        num_slots: The number of slots K.
        shrink_threshold: The threshold in units of 1 / K, at least 0 (no shrinkage) and below K.
        seed: The seed of the initial slots, uniform within +-1 / sqrt(F).

    Call arguments:
        queries: (..., F).

    Returns:
        The read (..., F) and the entropy in nats (...), both float32 at least.

    Reference:
        Gong et al., Memorizing Normality to Detect Anomaly, ICCV 2019.
    """

    def __init__(self, num_slots: int, shrink_threshold: float = 1.0, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(num_slots, seed, **kwargs)
        if not 0 <= shrink_threshold < num_slots:
            raise ValueError(f"shrink_threshold must be at least 0 and below num_slots. Received: {shrink_threshold}.")
        self.shrink_threshold = shrink_threshold

    @property
    def min_attention(self) -> float:
        """The threshold l of the hard shrinkage."""
        return self.shrink_threshold / self.num_slots

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        Memory.build(self, input_shape)  # the initial slots of MemAE's code, not those of AMSL

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "shrink_threshold": self.shrink_threshold}
