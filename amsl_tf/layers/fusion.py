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
        reads: A list of M tensors (B, R, ..., F), one for each memory.
        Returns the fused read (B, R, ..., F).
    """

    def build(self, input_shape: list[tuple[int | None, ...]]) -> None:
        self.gates = self.add_weight(name="gates", shape=(len(input_shape), input_shape[0][1]), initializer="zeros")

    def call(self, reads: list[Any]) -> Any:
        gates = ops.sigmoid(self.gates)
        positions = (1,) * (len(reads[0].shape) - 2)
        return sum(ops.reshape(gates[index], (-1, *positions)) * read for index, read in enumerate(reads))

    def compute_output_shape(self, input_shape: list[tuple[int | None, ...]]) -> tuple[int | None, ...]:
        return tuple(input_shape[0])
