"""The paper's score."""

import numpy as np
import tensorflow as tf

from amsl_tf.scoring.base import Outputs


class Reconstruction:
    """Err(x) = sum over views of the mean squared error (Algorithm 5 of the AMSL paper).

    There is nothing to fit, and nothing that a training window could be left out of.
    """

    def fit(self, outputs: Outputs, groups: np.ndarray | None = None) -> np.ndarray:
        return self.score(outputs).numpy()

    def score(self, outputs: Outputs) -> tf.Tensor:
        error = tf.cast(outputs.error, tf.float64)
        return tf.cast(tf.reduce_sum(tf.reduce_mean(error, axis=2), axis=1), tf.float32)

    def state(self) -> dict[str, np.ndarray]:
        return {}
