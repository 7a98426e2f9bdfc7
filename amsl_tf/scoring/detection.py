"""The methods of a fitted detector: scores, decisions, thresholds, explanations."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
from sklearn.exceptions import NotFittedError

from amsl_tf.checks import check_number
from amsl_tf.config import DetectorConfig, OnDeadChannel, check_rate, to_percentile
from amsl_tf.data.channel_states import HEALTHY
from amsl_tf.data.windows import Windows, check_windows
from amsl_tf.errors import AMSLError
from amsl_tf.scoring import DIAGNOSTICS
from amsl_tf.scoring.pipeline import EXPLAINED, HEALTH, NEAREST, SCORE, VALID, Explanation, Reconstruction, ScoringPipeline
from amsl_tf.scoring.threshold import is_abnormal, percentile_threshold

T = TypeVar("T", bound="DetectionMixin")
LARGEST_FLOAT = float(np.finfo(np.float32).max)


class DetectionMixin:
    """The methods of a fitted detector. `AMSLDetector` inherits them and sets the attributes in `fit` and `load`.

    Attributes:
        config_: The settings.
        pipeline_: The scoring pipeline.
        thresholds_: The thresholds of all scores by name, dimensionless.
        training_scores_: The `score_components` of the training windows, scores leave-one-out.
        groups_: int (N,), the groups of the training windows, of whose thresholds the threshold is the median, or None.
    """

    config_: DetectorConfig
    pipeline_: ScoringPipeline
    thresholds_: dict[str, float]
    training_scores_: dict[str, np.ndarray]
    groups_: np.ndarray | None

    @property
    def classes_(self) -> np.ndarray:
        """The labels that `predict` returns, int (2,): 0 for normal and 1 for abnormal windows."""
        return np.array([0, 1])

    @property
    def threshold_(self) -> float:
        """The threshold of the decision score. Raises NotFittedError before `fit`."""
        _ = self.pipeline
        return self.thresholds_[self.config_.score]

    @property
    def decision_scores_(self) -> np.ndarray:
        """The leave-one-out decision scores of the training windows, float32 (N,). Raises NotFittedError before `fit`."""
        _ = self.pipeline
        return self.training_scores_[self.config_.score]

    @property
    def labels_(self) -> np.ndarray:
        """The decisions on the training windows by their scores alone, int (N,). Raises NotFittedError before `fit`."""
        return is_abnormal(self.decision_scores_, self.threshold_).astype(int)

    @property
    def window_shape(self) -> tuple[int, int]:
        """(T, C) of the windows. Raises NotFittedError before `fit`."""
        return self.pipeline.shape

    @property
    def pipeline(self) -> ScoringPipeline:
        """The scoring pipeline. Raises NotFittedError before `fit`."""
        if not hasattr(self, "pipeline_"):
            raise NotFittedError("this detector is not fitted: call fit with normal windows, or load a saved detector.")
        return self.pipeline_

    def set_threshold(self: T, threshold: float) -> T:
        """Sets the threshold of the decision score of a fitted detector.

        Args:
            threshold: The threshold, rounded to float32; a window whose score reaches it is abnormal.

        Returns:
            The detector itself.

        Raises:
            NotFittedError: The detector is not fitted.
            AMSLError: The threshold is not a finite float32 number.
        """
        _ = self.pipeline
        value = check_number("threshold", threshold, -LARGEST_FLOAT, LARGEST_FLOAT)
        self.thresholds_ = {**self.thresholds_, self.config_.score: float(np.float32(value))}
        return self

    def set_false_alarm_rate(self: T, rate: float) -> T:
        """Sets the threshold to the one that `contamination=rate` would have given in `fit`.

        Args:
            rate: The share of normal windows that may be flagged, from 1e-6 to 0.5.

        Returns:
            The detector itself.

        Raises:
            NotFittedError: The detector is not fitted.
            AMSLError: The rate is out of range, or the groups of the training windows are not known (a detector saved by an
                older version).
        """
        scores = self.decision_scores_
        rate = check_rate("rate", rate)
        if self.groups_ is not None and len(self.groups_) != len(scores):
            raise AMSLError("this detector was saved by a version that did not keep the groups. Fit it again.")
        return self.set_threshold(percentile_threshold(scores, to_percentile(rate), self.groups_))

    def set_on_dead_channel(self: T, value: OnDeadChannel) -> T:
        """Sets whether a channel with a fault makes a window abnormal, as `on_dead_channel` does in `fit`.

        Args:
            value: `flag`, or `ignore`: the score alone decides.

        Returns:
            The detector itself.

        Raises:
            NotFittedError: The detector is not fitted.
            AMSLError: The value is neither.
        """
        self.pipeline.config = self.config_ = replace(self.config_, on_dead_channel=value)
        return self

    def decision_function(self, X: Any) -> np.ndarray:
        """Computes the decision scores of windows.

        A training window finds itself in the bank of normal windows: use `decision_scores_` for training windows.

        Args:
            X: An array (N, T, C) of finite numbers or `Windows`, in the units of the training windows.

        Returns:
            float32 (N,), dimensionless; higher is more abnormal.

        Raises:
            NotFittedError: The detector is not fitted.
            DataError: The windows have another shape than the training windows, or are not finite.
        """
        name = SCORE + self.pipeline.config.score
        return concatenate(self.pipeline.run(self._check_windows(X), (name,)))[name]

    def predict(self, X: Any) -> np.ndarray:
        """Decides which windows are abnormal.

        Args:
            X: An array (N, T, C) of finite numbers or `Windows`.

        Returns:
            int (N,), 1 for abnormal windows, whose score reaches the threshold or, with `on_dead_channel="flag"`, which have a
            dead, stuck or saturated channel; 0 for normal ones.

        Raises:
            NotFittedError: The detector is not fitted.
            DataError: The windows have another shape than the training windows, or are not finite.
        """
        return self._detect(self._check_windows(X))["is_anomaly"].astype(int)

    def detect(self, X: Any) -> dict[str, np.ndarray]:
        """Scores windows that may hold invalid values, like an exported model and `Client.detect`.

        Args:
            X: An array (N, T, C) of real numbers, NaN and infinity included, or `Windows`.

        Returns:
            `score` float32, `is_anomaly` bool and `valid` bool, (N,) each, and `health` int32 (N, C), positions in
            `amsl_tf.data.channel_states.STATES`. A channel with a value that is NaN, infinite or beyond 1e30 is missing in that
            window, which is not valid: the score treats it as a dead channel, which the ensemble leaves out. A window without a
            usable channel has the score NaN, and counts as abnormal.

        Raises:
            NotFittedError: The detector is not fitted.
            DataError: The windows have another shape than the training windows, or are not real numbers.
        """
        return self._detect(self._check_windows(X, finite=False))

    def _detect(self, x: np.ndarray) -> dict[str, np.ndarray]:
        name = SCORE + self.pipeline.config.score
        values = concatenate(self.pipeline.run(x, (name, VALID, HEALTH)))
        score, valid, health = values[name], values[VALID], values[HEALTH]
        is_anomaly = is_abnormal(score, self.threshold_)  # true for NaN
        if self.config_.on_dead_channel == "flag":
            is_anomaly |= (health != HEALTHY).any(axis=1)
        return {"score": score, "is_anomaly": is_anomaly, "valid": valid, "health": health}

    def score_components(self, X: Any) -> dict[str, np.ndarray]:
        """Computes every fitted score of windows, and diagnostics.

        Args:
            X: An array (N, T, C) of finite numbers or `Windows`.

        Returns:
            Arrays float32 by name. Each score (N,), dimensionless; with a network `view_error` (N, R), the squared error of a
            view in scaled units (views scaled to [0, 1]), averaged over time and channels, which the reconstruction score sums;
            with self-supervision `right_view` (N,), the probability of the right view, summed over views (0 to R); with memory
            `entropy` (N,), the entropy of the attention in nats, averaged over positions and summed over memory reads.

        Raises:
            NotFittedError: The detector is not fitted.
            DataError: The windows have another shape than the training windows, or are not finite.
        """
        pipeline = self.pipeline
        names = (*(SCORE + name for name in pipeline.scores), *DIAGNOSTICS)
        values = concatenate(pipeline.run(self._check_windows(X), names))
        return {name.removeprefix(SCORE): value for name, value in values.items()}

    @property
    def members_(self) -> tuple[str, ...]:
        """The names of the parts of the decision score, which `explain` tells apart. Raises NotFittedError before `fit`."""
        return self.pipeline.scores[self.config_.score].members

    def explain(self, X: Any) -> Explanation:
        """Divides the decision scores of windows among their causes: parts of the score, channels and time steps.

        A contribution is positive where a window is more abnormal than a typical normal one. Values may be missing, as for
        `detect`; the contributions of a window without a usable channel are NaN.

        Args:
            X: An array (N, T, C) of real numbers, NaN and infinity included, or `Windows`.

        Returns:
            The contributions, each kind with the score as its sum, the nearest normal windows, and the health of the channels.

        Raises:
            NotFittedError: The detector is not fitted.
            AMSLError: The decision score is one of your own without `contributions`.
            DataError: The windows have another shape than the training windows, or are not real numbers.
        """
        names = tuple(EXPLAINED + name for name in Explanation._fields)
        values = concatenate(self.pipeline.run(self._check_windows(X, finite=False), names))
        return Explanation(*(values[name] for name in names))

    def reconstruct(self, X: Any) -> Reconstruction:
        """Computes the reconstruction of windows by the network, and its error by channel, view and time step.

        Args:
            X: An array (N, T, C) of finite numbers or `Windows`.

        Returns:
            The errors, in scaled units, and the reconstruction.

        Raises:
            NotFittedError: The detector is not fitted.
            AMSLError: The detector has no network.
            DataError: The windows have another shape than the training windows, or are not finite.
        """
        if self.pipeline.network is None:
            raise AMSLError("reconstruct needs a network. Fit a detector with one, such as AMSLDetector('amsl').")
        return Reconstruction(**concatenate(self.pipeline.run(self._check_windows(X), Reconstruction._fields)))

    def nearest(self, X: Any) -> np.ndarray:
        """Finds the normal training window nearest to each window.

        The nearest window is one of the bank (`bank_size`): of the nearest-normal score by the feature group with the largest
        weight, of the ensemble by the weighted mean of all members; relative to the local density.

        Args:
            X: An array (N, T, C) of finite numbers or `Windows`.

        Returns:
            int64 (N,), positions among the training windows, without the abnormal ones that `fit` left out.

        Raises:
            NotFittedError: The detector is not fitted.
            DataError: The windows have another shape than the training windows, or are not finite.
            AMSLError: The detector has no score that compares with normal windows.
        """
        return concatenate(self.pipeline.run(self._check_windows(X), (NEAREST,)))[NEAREST]

    def _check_windows(self, windows: Any, *, finite: bool = True) -> np.ndarray:
        return check_windows(windows.x if isinstance(windows, Windows) else windows, self.window_shape, finite=finite)


def concatenate(parts: Iterable[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Concatenates arrays of several batches by name."""
    collected: dict[str, list[np.ndarray]] = {}
    for part in parts:
        for name, values in part.items():
            collected.setdefault(name, []).append(values)
    return {name: np.concatenate(values) for name, values in collected.items()}
