"""The score of the paper."""

import numpy as np
import tensorflow as tf

from amsl_tf.scoring.members.base import Contributions, Evidence, Score


class Reconstruction(Score):
    """The reconstruction error: Err(x) = sum over views of the mean squared error.

    Errors are in scaled units (views scaled to [0, 1]). It has no state, so the training scores are not leave-one-out.

    Reference:
        Algorithm 5 of the AMSL paper.
    """

    has_contributions = True

    @property
    def members(self) -> tuple[str, ...]:
        """The names of the views."""
        return self.config.views

    def fit(self, evidence: Evidence, groups: np.ndarray | None = None) -> np.ndarray:
        """Returns the scores of the training windows, float32 (N,); nothing is fitted."""
        return self.score(evidence).numpy()

    def score(self, evidence: Evidence) -> tf.Tensor:
        """Computes the error averaged over time and channels and summed over views, float32 (N,)."""
        error = tf.cast(evidence.error, tf.float64)
        return tf.cast(tf.reduce_sum(tf.reduce_mean(error, axis=2), axis=1), tf.float32)

    def contributions(self, evidence: Evidence) -> Contributions:
        """Divides the score among the views, channels and time steps, whose errors add up to it."""
        error = evidence.error
        channels = tf.reduce_sum(error, axis=1) / error.shape[2]
        return Contributions(tf.reduce_mean(error, axis=2), channels, evidence.time_error / evidence.time_error.shape[1])
