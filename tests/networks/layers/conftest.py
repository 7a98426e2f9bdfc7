"""Helpers for the tests of memories."""

import numpy as np


def is_finite_for_zeros(memory, compiled):
    """Returns whether the outputs of a memory for zero queries (3, 2), and their gradient, are finite.

    With `compiled`, XLA compiles the graph and simplifies expressions that are kept otherwise.
    """
    import tensorflow as tf

    @tf.function(jit_compile=compiled)
    def gradient(queries):
        with tf.GradientTape() as tape:
            tape.watch(queries)
            loss = tf.add_n([tf.reduce_sum(output) for output in tf.nest.flatten(memory(queries))])
        return loss, tape.gradient(loss, queries)

    return all(np.isfinite(value).all() for value in gradient(tf.zeros((3, 2), memory.compute_dtype)))
