"""Decisions on raw windows as functions of TensorFlow alone: what a SavedModel of a detector consists of."""

import numpy as np
import tensorflow as tf

from amsl_tf.data.windows import LARGEST
from amsl_tf.detector import AMSLDetector
from amsl_tf.scoring import SCORERS, Scorer
from amsl_tf.scoring.path import SCORE, Explanation, ScoringPath
from amsl_tf.served import DEFAULT, EXPLAIN


class ServedModel(tf.Module):
    """The functions that a SavedModel of a detector consists of, one for each signature.

    A window that holds NaN, infinity or a value beyond `LARGEST` is not valid: its numbers are NaN, it counts as abnormal, and
    the windows beside it get what they would have got without it.

    Args:
        detector: Fitted.
    """

    def __init__(self, detector: AMSLDetector) -> None:
        super().__init__(name="amsl")
        path, name = detector.scoring_path, detector.config.score
        self._threshold = tf.constant(detector.threshold_, tf.float32)
        # what a SavedModel keeps in its files of variables must hang on the module; constants would swell its graph
        self.network = [variable.value for variable in path.network.variables]
        self.scaling = [variable.value for variable in path.scaling.variables]
        self.scorer = {key: tf.Variable(value, trainable=False) for key, value in path.scorers[name].state().items()}
        scorers: dict[str, Scorer] = {name: SCORERS[name](**self.scorer)}
        self._path = ScoringPath(path.network, path.scaling, path.draw, path.config, path.shape, scorers)
        self._score = SCORE + name
        self.functions = {
            name: tf.function(function, input_signature=[self._path.signature], autograph=False)
            for name, function in {DEFAULT: self._decide, EXPLAIN: self._explain}.items()
        }

    @property
    def window_shape(self) -> tuple[int, int]:
        """Time steps and channels of a window."""
        return self._path.shape

    def predict(self, windows: np.ndarray) -> dict[str, np.ndarray]:
        """What a server says of windows (N, T, C): `score`, `is_anomaly` and `valid`, (N,) each."""
        return {name: value.numpy() for name, value in self.functions[DEFAULT](tf.constant(windows)).items()}

    def _decide(self, windows: tf.Tensor) -> dict[str, tf.Tensor]:
        valid, clean = _checked(windows)
        score = self._path.compute(clean, (self._score,))[self._score]
        abnormal = tf.logical_not(valid) | (score >= self._threshold)
        return {"score": tf.where(valid, score, np.nan), "is_anomaly": abnormal, "valid": valid}

    def _explain(self, windows: tf.Tensor) -> dict[str, tf.Tensor]:
        valid, clean = _checked(windows)
        made = self._path.compute(clean, Explanation._fields)
        return {
            name: tf.where(tf.reshape(valid, (-1,) + (1,) * (len(value.shape) - 1)), value, np.nan)
            for name, value in made.items()
        }


def _checked(windows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Which windows can be scored (B,), and all of them (B, T, C) with zeros for those that cannot."""
    tf.debugging.assert_positive(tf.shape(windows)[0], "windows must hold at least one window.")
    valid = tf.reduce_all(tf.abs(windows) <= LARGEST, axis=(1, 2))  # false for NaN
    return valid, tf.where(valid[:, None, None], windows, 0.0)
