"""What tests of several memories need."""

import numpy as np


def is_finite_for_zeros(memory, compiled):
    """Whether what a memory makes of queries of zeros (3, 2), and the gradient, are finite.

    Compiled is by XLA, which simplifies where others do not; in float16 gradients overflow.
    """
    import tensorflow as tf

    @tf.function(jit_compile=compiled)
    def gradient(queries):
        with tf.GradientTape() as tape:
            tape.watch(queries)
            loss = tf.add_n([tf.reduce_sum(made) for made in tf.nest.flatten(memory(queries))])
        return loss, tape.gradient(loss, queries)

    return all(np.isfinite(value).all() for value in gradient(tf.zeros((3, 2), memory.compute_dtype)))
