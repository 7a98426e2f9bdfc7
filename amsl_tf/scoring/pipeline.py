"""The scoring pipeline: the one implementation of views, scaling, network, features and scores, as one TensorFlow graph."""

from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from amsl_tf import progress
from amsl_tf.config import DetectorConfig, ScoringPrecision
from amsl_tf.data.channel_states import DEAD, HEALTHY, MISSING
from amsl_tf.data.windows import LARGEST, chunks
from amsl_tf.errors import AMSLError
from amsl_tf.networks import build_network
from amsl_tf.networks.layers import MinMaxScaling
from amsl_tf.runtime import check_eager, check_process, tensorflow_runtime
from amsl_tf.scoring import FEATURES
from amsl_tf.scoring.features import FeatureInputs
from amsl_tf.scoring.health import ChannelHealth
from amsl_tf.scoring.members.base import Evidence, Score
from amsl_tf.views import split_views
from amsl_tf.views.operations import Draws, make_views

BATCH = 64
SCORE, FEATURE, EXPLAINED = (
    "score.",
    "feature.",
    "explained.",
)  # prefixes of outputs: a score, a feature, a field of Explanation
NEAREST, VALID, HEALTH = "nearest", "valid", "health"


class Explanation(NamedTuple):
    """What makes up the decision scores of N windows.

    Attributes:
        members: float32 (N, M), the contribution of each part of the score, named by `members_`; their sum is the score.
        channels: float32 (N, C), the contribution of each channel; their sum is the score. Where the score uses the norm of a
            sensor, its axes have equal contributions.
        time: float32 (N, T), the contribution of each time step; their sum is the score.
        nearest: int64 (N,), the position of the nearest training window; -1 for a decision score that compares with none.
        health: int32 (N, C), the state of each channel, a position in `amsl_tf.data.channel_states.STATES`; 0 is healthy.
    """

    members: np.ndarray
    channels: np.ndarray
    time: np.ndarray
    nearest: np.ndarray
    health: np.ndarray


class Reconstruction(NamedTuple):
    """The reconstruction of N windows by the network, and its error by channel, view and time step.

    Errors are squared errors in scaled units: views are scaled to [0, 1] over the training windows.

    Attributes:
        channel_error: float32 (N, C), the squared error averaged over time and summed over views.
        view_error: float32 (N, R), the squared error averaged over time and channels.
        time_error: float32 (N, T), the squared error averaged over channels and summed over views.
        reconstruction: float32 (N, R, T, C), the reconstruction of each view, in the units of the windows.
    """

    channel_error: np.ndarray
    view_error: np.ndarray
    time_error: np.ndarray
    reconstruction: np.ndarray


class ScoringPipeline:
    """The computation of scores, explanations and features from raw windows.

    Each window is computed alone: its results do not depend on its batch, beyond rounding errors.

    Args:
        network: A network of `build_network`; None for scores of the windows alone.
        scaling: The fitted scaling of its views; None without a network.
        draws: The fixed random part of the views, with a leading axis of length 1; empty without a network.
        config: The settings of the detector.
        window_shape: (T, C).
        scores: The fitted scores by name; may be empty before they are fitted.
        health: The fitted states of channels; None if they are not known, as in detectors of older versions.
    """

    def __init__(
        self,
        network: keras.Model | None,
        scaling: MinMaxScaling | None,
        draws: Draws,
        config: DetectorConfig,
        window_shape: tuple[int, int],
        scores: Mapping[str, Score] | None = None,
        health: ChannelHealth | None = None,
    ) -> None:
        self.network, self.scaling, self.draws, self.scores = network, scaling, dict(draws), dict(scores or {})
        self.health = health
        self.config, self.shape = config, window_shape
        self.signature = tf.TensorSpec((None, *window_shape), tf.float32, name="windows")
        self._compiled: dict[tuple[str, ...], Callable[[tf.Tensor], dict[str, tf.Tensor]]] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Returns arrays and settings, for copies and pickles: models of Keras and graphs are built again."""
        return {
            "weights": None if self.network is None else self.network.get_weights(),
            "scaling": None if self.scaling is None else self.scaling.state(),
            "draws": {name: np.asarray(values) for name, values in self.draws.items()},
            "config": self.config,
            "window_shape": self.shape,
            "scores": self.scores,
            "health": self.health,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Inverts `__getstate__`. Raises AMSLError as `tensorflow_runtime` does."""
        state = dict(state)
        weights, scaling_state = state.pop("weights"), state.pop("scaling")
        network = scaling = None
        with tensorflow_runtime():
            if weights is not None:
                scaling = MinMaxScaling()
                scaling.restore(**scaling_state)
                network = build_scoring_network(state["config"], state["window_shape"])
                network.set_weights(weights)
        ScoringPipeline.__init__(self, network, scaling, **state)

    def run(self, x: np.ndarray, outputs: tuple[str, ...]) -> Iterator[dict[str, np.ndarray]]:
        """Computes outputs of windows, `BATCH` windows at a time, in constant memory.

        Args:
            x: float32 (N, T, C), possibly memory-mapped.
            outputs: The names of the outputs, see `compute`.

        Yields:
            The outputs of a batch by name.

        Raises:
            AMSLError: The process was forked from one in which TensorFlow had started, or eager execution is off.
        """
        check_process()
        check_eager()
        if outputs not in self._compiled:
            # a partial, because TensorFlow warns of retracing for several functions of the same code
            function = partial(self.compute, outputs=outputs)
            self._compiled[outputs] = tf.function(function, input_signature=[self.signature], autograph=False)
        compute = self._compiled[outputs]
        with progress.bar(len(x), "scoring", "windows") as bar:
            for _, batch in chunks(x, BATCH):
                yield {name: value.numpy() for name, value in compute(tf.convert_to_tensor(batch)).items()}
                bar.update(len(batch))

    def compute(self, windows: tf.Tensor, outputs: Collection[str]) -> dict[str, tf.Tensor]:
        """Computes outputs of windows; the graph drops everything else.

        A channel with a value that is NaN, infinite or beyond `LARGEST` is missing in that window: it is computed like a dead
        one. A window without a usable channel has outputs that are NaN, or -1 where they are integers. The outputs of the other
        windows do not depend on either.

        Args:
            windows: float32 (B, T, C).
            outputs: Names among `score.NAME` (B,) of each score; `feature.NAME` (B, D) of each feature; `error` (B, R, C), the
                squared error in scaled units, averaged over time; the fields of `Reconstruction`; those of `Explanation`, with
                `explained.` before them; `right_view` (B,), the summed
                probability of the right view, and `entropy` (B,), the summed entropy of the reads in nats, which are omitted
                for networks without self-supervision or without memory; `nearest` (B,), the position of the nearest training
                window, int64; `valid` (B,), bool, whether all values are usable; `health` (B, C), the states of the channels,
                positions in `STATES`, int32.

        Returns:
            The outputs by name, float32 unless stated otherwise; features have the dtype of their function.

        Raises:
            AMSLError: `nearest` is requested, and no score has it; or a score or feature is not what its base class describes.
        """
        is_usable = tf.reduce_all(tf.abs(windows) <= LARGEST, axis=1)  # False for NaN
        health = None if self.health is None else self.health(windows)
        usable = tf.where(is_usable[:, None], windows, 0.0)
        values = self._compute_usable(usable, outputs, self._find_alive(is_usable, health))
        has_usable = tf.reduce_any(is_usable, axis=1)
        masked = {
            name: tf.where(
                tf.reshape(has_usable, (-1,) + (1,) * (len(value.shape) - 1)),
                value,
                tf.constant(np.nan if value.dtype.is_floating else -1, value.dtype),
            )
            for name, value in values.items()
        }
        states = tf.where(is_usable, HEALTHY, MISSING) if health is None else health
        whole = {VALID: tf.reduce_all(is_usable, axis=1), HEALTH: states, EXPLAINED + HEALTH: states}
        return masked | {name: value for name, value in whole.items() if name in outputs}

    def _find_alive(self, is_usable: tf.Tensor, health: tf.Tensor | None) -> tf.Tensor:
        """Returns which sensors have no dead or missing axis, bool (B, S), from the channels, (B, C).

        Sensors that are stuck at another value, or saturated, are scored: they may show what happens to the machine.
        """
        is_alive = is_usable if health is None else is_usable & (health != DEAD)
        return tf.reduce_all(tf.reshape(is_alive, (-1, is_alive.shape[1] // self.config.axes, self.config.axes)), axis=2)

    def _compute_usable(self, windows: tf.Tensor, outputs: Collection[str], alive: tf.Tensor) -> dict[str, tf.Tensor]:
        values = {} if self.network is None else self._reconstruct(windows)
        latent = values.pop("latent", None)
        wanted = {name: score for name, score in self.scores.items() if SCORE + name in outputs}
        features = {name.removeprefix(FEATURE) for name in outputs if name.startswith(FEATURE)}
        nearest = self._nearest_score() if NEAREST in outputs else None
        explained = self.scores[self.config.score] if any(name.startswith(EXPLAINED) for name in outputs) else None
        for score in (*wanted.values(), *filter(None, [nearest, explained])):
            features.update(score.features)
        inputs = FeatureInputs(windows, values.get("error"), latent, self.config.axes)
        count = windows.shape[0]  # None in a graph
        evidence = Evidence(
            values.get("error"),
            {name: _check_result(f"the feature {name!r}", FEATURES[name](inputs), (count, None)) for name in sorted(features)},
            windows,
            time_error=values.get("time_error"),
            alive=alive,
        )
        values |= {FEATURE + name: value for name, value in evidence.features.items()}
        for name, score in wanted.items():
            values[SCORE + name] = tf.cast(_check_result(f"the score {name!r}", score.score(evidence), (count,)), tf.float32)
        if nearest is not None:
            values[NEAREST] = tf.cast(_check_result("the nearest window", nearest.nearest(evidence), (count,)), tf.int64)
        if explained is not None:
            values |= {EXPLAINED + name: value for name, value in self._explain(explained, evidence).items()}
        return {name: value for name, value in values.items() if name in outputs}

    def _explain(self, score: Score, evidence: Evidence) -> dict[str, tf.Tensor]:
        """Computes the fields of `Explanation`, without the health of channels."""
        windows, found = evidence.windows, score.contributions(evidence)
        shapes = {"members": len(score.members), "channels": None, "time": windows.shape[1]}
        for name, size in shapes.items():
            _check_result(f"the contributions of {name}", getattr(found, name), (windows.shape[0], size))
        axes = windows.shape[2] // found.channels.shape[1]
        return {
            "members": found.members,
            "channels": tf.repeat(found.channels / axes, axes, axis=1),
            "time": found.time,
            "nearest": score.nearest(evidence) if score.has_nearest else -tf.ones(tf.shape(windows)[:1], tf.int64),
        }

    def _reconstruct(self, windows: tf.Tensor) -> dict[str, tf.Tensor]:
        """Computes the outputs that come from the network, and `latent`."""
        assert self.network is not None
        assert self.scaling is not None
        views = self.config.views
        scaled = self.scaling(make_views(windows, self.draws, views))
        made = self.network(split_views(scaled, views), training=False)
        squared = tf.square(made["reconstruction"] - scaled)
        error = tf.reduce_mean(squared, axis=2)
        values = {
            "error": error,
            "channel_error": tf.reduce_sum(error, axis=1),
            "view_error": tf.reduce_mean(error, axis=2),
            "time_error": tf.reduce_sum(tf.reduce_mean(squared, axis=3), axis=1),
            "reconstruction": self.scaling.inverse(made["reconstruction"]),
            "latent": made["latent"],
        }
        if "view_probabilities" in made:
            values["right_view"] = tf.linalg.trace(made["view_probabilities"])
        if "memory_entropy" in made:
            values["entropy"] = made["memory_entropy"]
        return values

    def _nearest_score(self) -> Any:
        for score in self.scores.values():
            if score.has_nearest:
                return score
        raise AMSLError(
            f"the nearest normal window needs a score such as ensemble; this detector has {', '.join(self.scores)}. Fit one "
            'with score="ensemble" or extra_scores=["ensemble"].'
        )


def _check_result(what: str, value: Any, shape: tuple[int | None, ...]) -> tf.Tensor:
    """Checks the static shape and dtype of what a part has computed: a wrong shape would be broadcast.

    Args:
        what: The part, for the error message.
        value: Its result, for each of B windows.
        shape: The static shape; B is None in a graph, where a known size means that the result does not depend on the windows.

    Returns:
        The value.

    Raises:
        AMSLError: The value is not a tensor of real numbers of this shape.
    """
    if not tf.is_tensor(value):
        raise AMSLError(f"{what} must be a tensor. Received: {type(value).__name__}. Compute it with TensorFlow operations.")
    found = value.shape.as_list() if value.shape.rank is not None else None
    if (
        found is None
        or len(found) != len(shape)
        or found[0] != shape[0]
        or not (value.dtype.is_floating or value.dtype.is_integer)
    ):
        expected = "(B,)" if len(shape) == 1 else "(B, D)"
        raise AMSLError(
            f"{what} must be real numbers of shape {expected}. Received: shape={value.shape}, dtype={value.dtype.name}."
        )
    return value


def build_scoring_network(config: DetectorConfig, window_shape: tuple[int, int]) -> keras.Model:
    """Builds the network of a detector in the precision of scoring, with initial weights."""
    assert config.network is not None
    return build_network(config.network, window_shape, dtype=scoring_policy(config.scoring_precision))


def scoring_policy(precision: ScoringPrecision) -> str:
    """Returns the name of the Keras dtype policy of scoring."""
    return {"float32": "float32", "bfloat16": "mixed_bfloat16"}[precision]
