"""The contents of a SavedModel: a fitted detector as functions of TensorFlow alone."""

import tensorflow as tf

from amsl_tf.data.channel_states import HEALTHY
from amsl_tf.detector import AMSLDetector
from amsl_tf.export.layout import DEFAULT, EXPLAIN
from amsl_tf.scoring import SCORES
from amsl_tf.scoring.pipeline import EXPLAINED, HEALTH, SCORE, VALID, Explanation, ScoringPipeline


class ExportedModel(tf.Module):
    """The functions of a SavedModel, one for each signature.

    A channel with a value that is NaN, infinite or beyond `LARGEST` counts as dead in that window; a window without a usable
    channel has a score of NaN and counts as abnormal. The results of the other windows do not depend on either.

    Args:
        detector: A fitted detector.

    Attributes:
        functions: The TensorFlow functions by name of the signature.
    """

    def __init__(self, detector: AMSLDetector) -> None:
        super().__init__(name="amsl")
        pipeline, name = detector.pipeline, detector.config_.score
        self._threshold = tf.constant(detector.threshold_, tf.float32)
        # attributes of the module are saved as variables; as constants they would swell the graph
        layers = [layer for layer in (pipeline.network, pipeline.scaling) if layer is not None]
        self.network = [variable.value for layer in layers for variable in layer.variables]
        self.state = {key: tf.Variable(value, trainable=False) for key, value in pipeline.scores[name].state().items()}
        score = SCORES[name](pipeline.config)
        score.restore(self.state)
        self._pipeline = ScoringPipeline(
            pipeline.network,
            pipeline.scaling,
            pipeline.draws,
            pipeline.config,
            pipeline.shape,
            {name: score},
            pipeline.health,
        )
        self._score = SCORE + name
        functions = {DEFAULT: self._decide}
        if score.has_contributions:
            functions[EXPLAIN] = self._explain
        self.functions = {
            name: tf.function(function, input_signature=[pipeline.signature], autograph=False)
            for name, function in functions.items()
        }

    def _decide(self, windows: tf.Tensor) -> dict[str, tf.Tensor]:
        _check_batch(windows)
        values = self._pipeline.compute(windows, (self._score, VALID, HEALTH))
        score, valid, health = values[self._score], values[VALID], values[HEALTH]
        is_normal = score < self._threshold  # false for NaN
        if self._pipeline.config.on_dead_channel == "flag":
            is_normal &= tf.reduce_all(health == HEALTHY, axis=1)
        return {"score": score, "is_anomaly": tf.logical_not(is_normal), "valid": valid, "health": health}

    def _explain(self, windows: tf.Tensor) -> dict[str, tf.Tensor]:
        _check_batch(windows)
        values = self._pipeline.compute(windows, [EXPLAINED + name for name in Explanation._fields])
        return {name.removeprefix(EXPLAINED): value for name, value in values.items()}


def _check_batch(windows: tf.Tensor) -> None:
    tf.debugging.assert_positive(tf.shape(windows)[0], "windows must hold at least one window.")
