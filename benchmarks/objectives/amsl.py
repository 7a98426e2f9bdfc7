"""The objective `amsl`: that of the AMSL network of the preset `compact`, on the scaled sensors.

Features are the latents of the views and the logarithms of the reconstruction errors. The network is trained for the epochs of
the preset, or for more until there are 100 steps.
"""

import math
from dataclasses import replace
from functools import partial
from typing import Any

import keras
import tensorflow as tf

from amsl_tf.config import DetectorConfig
from amsl_tf.networks import build_network
from amsl_tf.networks.amsl import AMSLConfig
from amsl_tf.scoring.pipeline import FEATURE, ScoringPipeline, build_scoring_network
from amsl_tf.training.fit import fit_network
from amsl_tf.training.inputs import FitInput
from amsl_tf.views.operations import draw_for_scoring
from benchmarks.objectives.interface import Networks, TrainingSet
from benchmarks.speed import forward_flops

LEAST_STEPS = 100
FEATURES = (FEATURE + "error", FEATURE + "latent")


def fit(data: TrainingSet, seed: int) -> Networks:
    """See `interface.Fit`. A fifth of the windows selects the best epoch."""
    config = DetectorConfig.from_settings(preset="compact", mixed_precision="off", seed=seed)
    training = config.training
    steps = math.ceil(len(data.windows) * (1 - training.validation_share) / training.batch_size)
    epochs = max(training.epochs, math.ceil(LEAST_STEPS / steps))
    config = replace(config, training=replace(training, epochs=epochs))
    assert isinstance(config.network, AMSLConfig)
    shape = (data.windows.shape[1], data.windows.shape[2])
    given = FitInput(data.windows, None, None, None)
    fitted = fit_network(config, given, weights=None, work_dir=None, log_dir=None, checkpoint_seconds=float("inf"))
    assert fitted.network is not None
    untrained = build_network(config.network, shape, dtype="float32", seed=seed)
    draws = draw_for_scoring(seed, shape, config.views)

    def describer(weights: keras.Model) -> Any:
        network = build_scoring_network(config, shape)
        network.set_weights(weights.get_weights())
        pipeline = ScoringPipeline(network, fitted.scaling, draws, config, shape)
        return tf.function(partial(_describe, pipeline), input_signature=[pipeline.signature], autograph=False)

    return Networks(describer(fitted.network), describer(untrained), "amsl", forward_flops(config.network, shape))


def _describe(pipeline: ScoringPipeline, windows: tf.Tensor) -> tf.Tensor:
    values = pipeline.compute(windows, FEATURES)
    return tf.concat([tf.cast(values[name], tf.float32) for name in FEATURES], axis=1)
