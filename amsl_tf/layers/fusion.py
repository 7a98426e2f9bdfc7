"""The adaptive fusion of what the memories return."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="amsl_tf")
class AdaptiveFusion(keras.layers.Layer):
    """Adds the reads of several memories, each view's weighed by gates of its own (section 3.4 of the AMSL paper).

    z~_r = sum_m sigmoid(g_mr) read_mr. A gate is a learned scalar that starts at sigmoid(0) = 0.5 and does not depend on the
    sample; the gates of a view need not sum to 1.

    Call:
        reads: A list of M lists, one for each memory, of R tensors (B, ..., F), one for each view.
        Returns the fused reads, a list of R tensors (B, ..., F).
    """

    def build(self, input_shape: list[list[tuple[int | None, ...]]]) -> None:
        self.gates = self.add_weight(name="gates", shape=(len(input_shape), len(input_shape[0])), initializer="zeros")

    def call(self, reads: list[list[Any]]) -> list[Any]:
        gates = ops.sigmoid(self.gates)
        return [
            sum(gates[memory, view] * read for memory, read in enumerate(of_view))
            for view, of_view in enumerate(zip(*reads, strict=True))
        ]
