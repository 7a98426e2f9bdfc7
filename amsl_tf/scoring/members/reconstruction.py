"""The score of the paper."""

import numpy as np
import tensorflow as tf

from amsl_tf.scoring.members.base import Evidence, Score


class Reconstruction(Score):
    """The reconstruction error: Err(x) = sum over views of the mean squared error.

    Errors are in scaled units (views scaled to [0, 1]). It has no state, so the training scores are not leave-one-out.

    Reference:
        Algorithm 5 of the AMSL paper.
    """

    def fit(self, evidence: Evidence, groups: np.ndarray | None = None) -> np.ndarray:
        """Returns the scores of the training windows, float32 (N,); nothing is fitted."""
        return self.score(evidence).numpy()

    def score(self, evidence: Evidence) -> tf.Tensor:
        """Computes the error averaged over time and channels and summed over views, float32 (N,)."""
        error = tf.cast(evidence.error, tf.float64)
        return tf.cast(tf.reduce_sum(tf.reduce_mean(error, axis=2), axis=1), tf.float32)
