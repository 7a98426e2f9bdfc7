"""The base class of scores."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import numpy as np
import tensorflow as tf

from amsl_tf.config import DetectorConfig
from amsl_tf.data.pieces import Pieces
from amsl_tf.errors import AMSLError
from amsl_tf.scoring import FEATURES, SCORES


class Evidence(NamedTuple):
    """The inputs of scores for N windows with R views, as tensors or arrays.

    Attributes:
        error: float32 (N, R, C), the squared error of the reconstruction in scaled units, averaged over time; None without a
            network.
        features: (N, D) each, by name in `FEATURES`: those in `Score.features`.
        windows: float32 (N, T, C), raw windows in their own units; training windows may be memory-mapped.
        duplicate_ids: int (N,), equal for duplicates, of training windows alone; else None. Windows that are constant over time
            count as different, since a sensor at rest repeats itself in new data, too.
        pieces: The pieces of training windows that overlap, if there are no groups; else None. A window is left out together
            with its piece, and with windows near the same border of two pieces.
        time_error: float32 (N, T), the squared error of the reconstruction in scaled units, averaged over channels and summed
            over views, of new windows alone; None without a network.
        alive: bool (N, S), the sensors of new windows that are not dead, which a score should use alone; None for all.
    """

    error: Any
    features: Mapping[str, Any]
    windows: Any = None
    duplicate_ids: np.ndarray | None = None
    pieces: Pieces | None = None
    time_error: Any = None
    alive: Any = None


class Contributions(NamedTuple):
    """What makes up the scores of N windows.

    Attributes:
        members: (N, M), the contributions of the parts of the score in the order of `Score.members`; their sum is the score.
        channels: (N, S), the contributions of the sensors, each a channel or several axes; their sum is the score.
        time: (N, T), the contributions of the time steps; their sum is the score.
    """

    members: Any
    channels: Any
    time: Any


class Score(ABC):
    """A score of windows. Subclass it and register the subclass in `SCORES` to add one.

    Scores are TensorFlow operations, so that score and network form one graph. Call `fit` or `restore` before `score`.

    Args:
        config: The settings of the detector.

    Class attributes:
        features: The names of the features that the score uses.
        needs_network: Whether the score uses the reconstruction error, or features of a network.
        has_nearest: Whether `nearest` is implemented.
        has_contributions: Whether `contributions` is implemented.
    """

    features: ClassVar[tuple[str, ...]] = ()
    needs_network: ClassVar[bool] = True
    has_nearest: ClassVar[bool] = False
    has_contributions: ClassVar[bool] = False

    def __init__(self, config: DetectorConfig) -> None:
        self.config = config

    @abstractmethod
    def fit(self, evidence: Evidence, groups: np.ndarray | None = None) -> np.ndarray:
        """Fits the score to normal training windows.

        Args:
            evidence: The evidence of N windows, as arrays.
            groups: The group of each window (N,), or None.

        Returns:
            The leave-one-out scores of the training windows, float32 (N,). Each window is compared with all windows that are
            neither equal to it nor, with groups, in its group. The network itself has been trained on all of them.
        """

    @abstractmethod
    def score(self, evidence: Evidence) -> tf.Tensor:
        """Computes the scores of new windows, as part of a TensorFlow graph.

        Args:
            evidence: The evidence of N windows, as tensors.

        Returns:
            float32 (N,), dimensionless; higher is more abnormal. Each score depends on its own window alone.
        """

    def nearest(self, evidence: Evidence) -> tf.Tensor:
        """Finds the normal training window nearest to each window, for scores with `has_nearest`.

        Args:
            evidence: The evidence of N windows, as tensors.

        Returns:
            int64 (N,), positions among the training windows that the score was fitted to.

        Raises:
            AMSLError: The score has no nearest windows.
        """
        raise AMSLError(f"{type(self).__name__} has no nearest windows. Use the score ensemble.")

    @property
    def members(self) -> tuple[str, ...]:
        """The names of the parts of the score, for explanations; by default there are none."""
        return ()

    def contributions(self, evidence: Evidence) -> Contributions:
        """Divides the scores of new windows among their causes, for scores with `has_contributions`.

        Args:
            evidence: The evidence of N windows, as tensors.

        Returns:
            The contributions, as tensors.

        Raises:
            AMSLError: The score does not know them.
        """
        raise AMSLError(f"{type(self).__name__} has no contributions, so that its decisions cannot be explained.")

    def state(self) -> dict[str, np.ndarray]:
        """Returns the fitted state, which is saved and exported with the detector.

        Returns:
            Arrays of numbers by name; empty for a score without state.
        """
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:  # noqa: B027, a score without state has nothing to restore
        """Sets the fitted state.

        Args:
            state: The result of `state`, as arrays or TensorFlow variables by name.
        """


def make_scores(config: DetectorConfig) -> dict[str, Score]:
    """Creates the scores of a detector, and imports their features, before anything is fitted.

    Args:
        config: The settings of the detector.

    Returns:
        The scores by name, the decision score first; they are not fitted.

    Raises:
        AMSLError: A score or a feature of it is not registered, or cannot be imported, or needs a network that there is not.
    """
    scores: dict[str, Score] = {name: SCORES[name](config) for name in config.scores}
    for name, score in scores.items():
        if score.needs_network and config.network is None:
            raise AMSLError(f"the score {name!r} needs a network. Received: network=None. Use score='ensemble', or a network.")
    for score in scores.values():
        for feature in score.features:
            _ = FEATURES[feature]
    return scores


def fit_scores(scores: Mapping[str, Score], evidence: Evidence, groups: np.ndarray | None) -> dict[str, np.ndarray]:
    """Fits scores to normal training windows, with checks of what they get and what they return.

    Args:
        scores: The scores by name.
        evidence: The evidence of N windows, as arrays.
        groups: The group of each window (N,), or None.

    Returns:
        The leave-one-out scores of the training windows by name, float32 (N,), finite.

    Raises:
        AMSLError: The evidence is not finite, or a score does not return a finite number for each window.
    """
    errors = {} if evidence.error is None else {"the reconstruction error": evidence.error}
    for what, values in {**errors, **evidence.features}.items():
        broken = np.count_nonzero(~np.isfinite(values).reshape(len(values), -1).all(axis=1))
        if broken:
            title = f"the feature {what!r}" if what in evidence.features else what
            advice = "Correct the feature, or the network that it is computed with."
            raise AMSLError(
                f"{title} must be finite. Received: NaN or infinity for {broken} of {len(values)} windows. {advice}"
            )
    return {name: check_scores(name, score.fit(evidence, groups), len(evidence.windows)) for name, score in scores.items()}


def check_scores(name: str, values: Any, count: int) -> np.ndarray:
    """Validates what `Score.fit` has returned.

    Args:
        name: The name of the score.
        values: The scores of the training windows.
        count: The number N of the training windows.

    Returns:
        float32 (N,), finite.

    Raises:
        AMSLError: The values are not finite numbers (N,).
    """
    expected = f"fit of the score {name!r} must return finite numbers of shape ({count},), one for each training window."
    try:
        scores = np.asarray(values)
    except ValueError:  # lists of different lengths
        raise AMSLError(f"{expected} Received: {type(values).__name__}.") from None
    if scores.shape != (count,) or scores.dtype.kind not in "fiu":
        raise AMSLError(f"{expected} Received: {type(values).__name__}, shape={scores.shape}, dtype={scores.dtype}.")
    with np.errstate(over="ignore"):
        scores = scores.astype(np.float32)
    broken = np.count_nonzero(~np.isfinite(scores))
    if broken:
        raise AMSLError(f"{expected} Received: {broken} values that are not finite in float32.")
    return scores
