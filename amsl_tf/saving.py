"""The folder of a saved detector: what `save` writes, and `load` reads."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from zipfile import BadZipFile

import numpy as np

from amsl_tf import persistence
from amsl_tf.config import DetectorConfig
from amsl_tf.data.files import atomic_folder, check_local
from amsl_tf.errors import AMSLError, StorageError
from amsl_tf.networks import check_registered
from amsl_tf.networks.layers import MinMaxScaling
from amsl_tf.networks.weights import read_weights, stored_shapes, write_weights
from amsl_tf.runtime import release_kernels, tensorflow_runtime
from amsl_tf.scoring.health import ChannelHealth
from amsl_tf.scoring.members.base import make_scores
from amsl_tf.scoring.pipeline import ScoringPipeline, build_scoring_network
from amsl_tf.scoring.recordings import RecordingMixin

T = TypeVar("T", bound="SavingMixin")

TRAINING = ("usual_error", "groups", "normal_range", "segments", "rows")  # attributes without the underscore; may be None


class Fitted(NamedTuple):
    """The result of fitting or loading a detector: its attributes without the final underscore, see `AMSLDetector`."""

    config: DetectorConfig
    pipeline: ScoringPipeline
    thresholds: dict[str, float]
    training_scores: dict[str, np.ndarray]
    examples: np.ndarray
    data: dict[str, Any]
    history: dict[str, list[float]]
    usual_error: np.ndarray | None = None
    groups: np.ndarray | None = None
    normal_range: np.ndarray | None = None
    recordings: dict[str, Any] | None = None
    segments: np.ndarray | None = None
    rows: np.ndarray | None = None


class SavingMixin(RecordingMixin):
    """The methods `save` and `load` of a detector. `AMSLDetector` inherits them, and has `from_config`."""

    examples_: np.ndarray
    history_: dict[str, list[float]]
    data_: dict[str, Any]

    @classmethod
    def from_config(cls, config: DetectorConfig) -> Any:
        """Creates a detector from its settings."""
        raise NotImplementedError

    def set_fitted(self: T, fitted: Fitted) -> T:
        """Sets all fitted attributes at once, so that a fit that fails changes nothing; returns the detector itself."""
        for name, value in fitted._asdict().items():
            setattr(self, f"{name}_", value)
        return self

    @tensorflow_runtime()
    def save(self, folder: str | Path) -> None:
        """Writes the fitted detector to a folder, completely or not at all.

        Args:
            folder: The folder, created if needed; a detector that it holds is replaced.

        Raises:
            NotFittedError: The detector is not fitted.
            AMSLError: The folder holds anything other than a detector, or the network is not registered in `NETWORKS`.
        """
        pipeline = self.pipeline
        if self.config_.network is not None:
            check_registered(self.config_.network)
        training = {name: getattr(self, f"{name}_") for name in TRAINING}
        parts: dict[str, Mapping[str, Any]] = {
            "scaling": {} if pipeline.scaling is None else pipeline.scaling.state(),
            "health": {} if pipeline.health is None else vars(pipeline.health),
            "draws": pipeline.draws,
            "training": {name: values for name, values in training.items() if values is not None},
            "training_scores": self.training_scores_,
            "examples": {"windows": self.examples_},
            **{persistence.SCORE_PART + name: score.state() for name, score in pipeline.scores.items()},
        }
        with atomic_folder(check_local(folder), persistence.expected_entries(Path(folder))) as target:
            persistence.write_state(target, parts)
            if pipeline.network is not None:
                write_weights(pipeline.network, target / persistence.WEIGHTS)
            metrics = {"thresholds": self.thresholds_, "history": self.history_}
            recordings = {} if self.recordings_ is None else {persistence.RECORDINGS: self.recordings_}
            persistence.write_summary(target, self.config_, metrics, {**self.data_, **recordings})

    @classmethod
    @tensorflow_runtime()
    def load(cls, folder: str | Path) -> Any:
        """Reads a detector that `save` has written, also by an older version; no code in the folder is executed.

        Args:
            folder: The folder of the detector.

        Returns:
            The fitted detector, which scores as the saved one did.

        Raises:
            AMSLError: A file is missing, damaged or of an unknown format, or a part of the detector is not registered.

        Example:
            >>> detector.save("saved_models/mine")
            >>> labels = AMSLDetector.load("saved_models/mine").predict(new_windows)
        """
        release_kernels()  # of the networks of earlier calls
        source = check_local(folder)
        while True:
            before = persistence.folder_state(source)
            try:
                return cls._load(source)
            except (AMSLError, OSError):
                if persistence.folder_state(source) == before:
                    raise  # else another process has replaced the folder meanwhile

    @classmethod
    def _load(cls, folder: Path) -> Any:
        summary = persistence.read_summary(folder)
        config, shape = summary.config, summary.window_shape
        detector = cls.from_config(config)
        try:
            scores = make_scores(config)
        except AMSLError as error:
            raise AMSLError(f"{folder}: {error} Register a score of your own before loading.") from error
        try:
            state = persistence.read_state(folder, summary)
            network = scaling = None
            if config.network is not None:
                config.network.check_size(stored_shapes(folder / persistence.WEIGHTS))
                network = build_scoring_network(config, shape)
                read_weights(network, folder / persistence.WEIGHTS)
                scaling = MinMaxScaling()
                scaling.restore(**state["scaling"])
            for name, score in scores.items():
                score.restore(state.get(persistence.SCORE_PART + name, {}))
            health = ChannelHealth(**state["health"]) if "health" in state else None
            pipeline = ScoringPipeline(network, scaling, state.get("draws", {}), config, shape, scores, health)
            training = {name: values for name, values in state.get("training", {}).items() if name in TRAINING}
            training_scores, examples = state["training_scores"], state["examples"]["windows"]
        except StorageError:
            raise
        except (OSError, EOFError, KeyError, TypeError, ValueError, BadZipFile) as error:
            reason = " ".join(str(error).split())
            raise AMSLError(f"{folder}: not a complete detector ({reason}). {persistence.ADVICE}") from error
        data = dict(summary.data)
        recordings = data.pop(persistence.RECORDINGS, None)
        thresholds = {name: summary.threshold(name) for name in config.scores}
        history = summary.metrics["history"]
        return detector.set_fitted(
            Fitted(config, pipeline, thresholds, training_scores, examples, data, history, recordings=recordings, **training)
        )
