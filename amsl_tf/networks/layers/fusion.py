"""The adaptive fusion of memory reads."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="amsl_tf")
class AdaptiveFusion(keras.layers.Layer):
    """A layer that sums the reads of several memories, weighted by a gate for each memory and view.

    z~_r = sum_m sigmoid(g_mr) read_mr. A gate is a trainable scalar that starts at sigmoid(0) = 0.5 and does not depend on the
    sample; the gates of a view need not sum to 1.

    Call arguments:
        reads: A list for each of M memories, of a tensor (B, ..., F) for each of R views.

    Returns:
        The fused reads, a list of R tensors (B, ..., F).

    Reference:
        Section 3.4 of the AMSL paper (arXiv 2201.00464).
    """

    def build(self, input_shape: list[list[tuple[int | None, ...]]]) -> None:
        self.gates = self.add_weight(name="gates", shape=(len(input_shape), len(input_shape[0])), initializer="zeros")

    def call(self, reads: list[list[Any]]) -> list[Any]:
        gates = ops.sigmoid(self.gates)
        return [
            sum(gates[memory, view] * read for memory, read in enumerate(of_view))
            for view, of_view in enumerate(zip(*reads, strict=True))
        ]
