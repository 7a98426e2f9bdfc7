"""The detector, an estimator with the interface of scikit-learn."""

import logging
import math
import shutil
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import keras
import numpy as np
from sklearn.base import BaseEstimator

from amsl_tf import persistence
from amsl_tf.config import DEFAULT_SCORE, ENSEMBLE, NOISE, DetectorConfig, MixedPrecision, OnDeadChannel, ScoringPrecision
from amsl_tf.data.files import atomic_folder, check_local
from amsl_tf.data.pieces import find_pieces
from amsl_tf.data.windows import number_windows
from amsl_tf.errors import AMSLError, StorageError
from amsl_tf.networks import NetworkConfig, check_registered
from amsl_tf.networks.layers import MinMaxScaling
from amsl_tf.networks.weights import read_weights, stored_shapes, write_weights
from amsl_tf.runtime import release_kernels, tensorflow_runtime
from amsl_tf.scoring import DIAGNOSTICS
from amsl_tf.scoring.detection import DetectionMixin, concatenate
from amsl_tf.scoring.features.reconstruction_error import LOG_FLOOR
from amsl_tf.scoring.health import ChannelHealth
from amsl_tf.scoring.members.base import Evidence, fit_scores, make_scores
from amsl_tf.scoring.pipeline import FEATURE, ScoringPipeline, build_scoring_network
from amsl_tf.scoring.threshold import percentile_threshold
from amsl_tf.training.fit import fit_network
from amsl_tf.training.inputs import check_fit_input
from amsl_tf.views.operations import draw_for_scoring

log = logging.getLogger(__name__)

EXAMPLES = 8  # training windows that a detector keeps
_DEPRECATED = "deprecated"


class AMSLDetector(DetectionMixin, BaseEstimator):
    """A detector of abnormal windows of multivariate sensor data, which learns from normal windows.

    It follows scikit-learn's estimator interface with pyod's conventions: `predict` returns 1 for abnormal and 0 for normal
    windows, and a higher score is more abnormal. Parameters are validated by `fit`.

    Args:
        network: The network that is trained: a name in `NETWORKS` (`amsl`, `memae`, `rftm`, `mnad`, `cae`), whose sizes the
            preset gives, or a configuration such as `AMSLConfig(num_slots=100)`, including one of your own subclasses, which is
            taken as it is. None trains nothing, and leaves the scores of the windows alone, such as `ensemble`.
        preset: The size of the network: `compact`, an eighth of the published sizes and 4 epochs, or `paper`, the published
            sizes and 100 epochs.
        score: The decision score: `ensemble`, which uses no network; `reconstruction`, the score of the paper; or
            `nearest_normal`, which adds errors and latents of the network to features of the signal.
        contamination: The share of normal training windows above the threshold: the nominal false-alarm rate.
        epochs: The number of passes over the training windows; None: that of the preset.
        batch_size: The number of windows in a training step.
        learning_rate: The learning rate of Adam.
        axes: The number of consecutive channels that are the axes of one sensor, such as 3 for accelerometers: scores then use
            their norms, which do not depend on the orientation of a sensor.
        channel_names: The names of the channels, for reports and to find the columns of tables.
        seed: The seed of everything random.
        validation_share: The share of the windows, or of the groups where groups are given, held out to choose the best epoch.
        mixed_precision: The precision of training: `auto`, `off`, `bfloat16` or `float16`.
        scoring_precision: The precision of the network when it scores: `float32` or `bfloat16`.
        bank_size: The maximum number of training windows that the scores `nearest_normal` and `ensemble` keep.
        extra_scores: Further scores that are fitted and reported by `score_components`, but do not affect the decision.
        members: The members of the score `ensemble`, names in `amsl_tf.scoring.ensemble.MEMBERS`.
        noise: The signal-to-noise ratios, in decibels, of the noisy copies of normal windows in the bank of the score
            `ensemble`; an empty list for none. They make scoring slower, and decisions robust to noise.
        on_dead_channel: Whether a channel that is dead, stuck or saturated (`amsl_tf.scoring.health`) makes a window abnormal,
            in addition to `contamination`: `flag`, or `ignore`, where the score alone decides. The ensemble leaves out dead
            sensors in either case.
        model: Deprecated, use `network`.

    Attributes:
        threshold_: The threshold of the decision score: a window whose score reaches it is abnormal.
        thresholds_: The thresholds of all scores by name.
        decision_scores_: float32 (N,), the decision scores of the training windows, leave-one-out; dimensionless.
        labels_: int (N,), 1 for the training windows whose score reaches the threshold.
        training_scores_: The `score_components` of the training windows, scores leave-one-out.
        history_: The values of each loss by epoch; with `log_dir` also the use of the memories and the gates of the fusion.
        usual_error_: float64 (R, C), the geometric mean of the squared errors of the training windows, by view and channel, in
            scaled units (views scaled to [0, 1]), each averaged over time; None without a network.
        data_: The number, shape and hash of the training windows, the fingerprint and the precision of the training run.
        examples_: float32 (up to 8, T, C), a few training windows, used for the warm-up of servers.
        config_: The validated settings, a `DetectorConfig`.

    Example:
        >>> detector = AMSLDetector().fit(normal_windows)
        >>> detector.predict(new_windows)  # 1 for abnormal windows

    Reference:
        Zhang et al., Adaptive Memory Networks with Self-supervised Learning for Unsupervised Anomaly Detection, TKDE 2022.
    """

    def __init__(
        self,
        network: str | NetworkConfig | None = None,
        *,
        preset: str = "compact",
        score: str = DEFAULT_SCORE,
        contamination: float = 0.02,
        epochs: int | None = None,
        batch_size: int = 16,
        learning_rate: float = 1e-3,
        axes: int = 1,
        channel_names: Sequence[str] = (),
        seed: int = 0,
        validation_share: float = 0.2,
        mixed_precision: MixedPrecision = "auto",
        scoring_precision: ScoringPrecision = "float32",
        bank_size: int = 10_000,
        extra_scores: Sequence[str] = (),
        members: Sequence[str] = ENSEMBLE,
        noise: Sequence[float] = NOISE,
        on_dead_channel: OnDeadChannel = "flag",
        model: Any = _DEPRECATED,
    ) -> None:
        self.network = network
        self.preset = preset
        self.score = score
        self.contamination = contamination
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.axes = axes
        self.channel_names = channel_names
        self.seed = seed
        self.validation_share = validation_share
        self.mixed_precision = mixed_precision
        self.scoring_precision = scoring_precision
        self.bank_size = bank_size
        self.extra_scores = extra_scores
        self.members = members
        self.noise = noise
        self.on_dead_channel = on_dead_channel
        self.model = model

    @classmethod
    def from_config(cls, config: DetectorConfig) -> "AMSLDetector":
        """Creates a detector from its settings.

        Args:
            config: The validated settings.

        Returns:
            A detector that is not fitted, with the values of `config` as its parameters.
        """
        settings = {**vars(config), **vars(config.training)}
        return cls(**{name: settings[name] for name in cls._get_param_names() if name in settings})

    @property
    def config(self) -> DetectorConfig:
        """The parameters as a validated `DetectorConfig`. Raises AMSLError if one is invalid."""
        settings = {name: value for name, value in self.get_params(deep=False).items() if name != "model"}
        if self.model != _DEPRECATED:
            if self.network is not None:
                raise AMSLError("give network alone: model is its deprecated name. Received: both.")
            settings["network"] = self.model
        if self.epochs is None:
            del settings["epochs"]
        return DetectorConfig.from_settings(**settings)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.estimator_type = "outlier_detector"  # scorers such as roc_auc then use `decision_function`
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        return tags

    @tensorflow_runtime()
    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        groups: Any = None,
        views: Mapping[str, np.ndarray] | None = None,
        weights: str | Path | None = None,
        work_dir: str | Path | None = None,
        log_dir: str | Path | None = None,
        abnormal: Any = None,
        checkpoint_seconds: float = 60.0,
    ) -> "AMSLDetector":
        """Learns from normal windows.

        Args:
            X: An array (N, T, C) or `Windows`; T at least 16, N at least 2. It may be memory-mapped.
            y: Labels (N,), 1 for abnormal and 0 for normal windows: abnormal windows are left out, and the others are copied to
                memory. If None, the labels of `Windows` are used; without labels all windows are normal.
            groups: The group of each window (N,), such as the subject or the recording. Validation then holds out whole groups,
                and leave-one-out scores leave out the whole group of a window, so the threshold is valid for unseen groups.
                Without them, overlapping windows are calibrated on consecutive pieces of the recording, which `fit` reports;
                windows that follow each other without overlap are not recognised. Reconstruction scores are computed on windows
                the network was trained on, so their threshold is too low for unseen groups in any case.
            views: Materialised views to train on, (N, T, C) by name; None makes views on the fly, anew in every epoch.
            weights: A file with the weights of a network trained elsewhere, written by its `save_weights`:
                nothing is trained then, and everything else is fitted.
            work_dir: A folder for the state of the training run, from which the same call resumes after an interruption;
                `discard_work` removes it. Without it the state of an interrupted training run is lost.
            log_dir: A folder for TensorBoard, in which every training run gets a folder of its own.
            abnormal: Abnormal windows (M, T, C) that TensorBoard shows beside normal ones; nothing is fitted to them.
            checkpoint_seconds: The minimum time between two saved states within an epoch, in seconds.

        Returns:
            The fitted detector itself.

        Raises:
            AMSLError: A parameter is invalid, data or weights cannot be used, or the training loss diverges.
        """
        if self.model != _DEPRECATED:
            warnings.warn("the parameter model is deprecated, use network.", FutureWarning, stacklevel=3)
        release_kernels()  # of the networks of earlier calls
        config = self.config
        scores = make_scores(config)
        if config.network is not None and not any(score.needs_network for score in scores.values()):
            log.warning(
                f"the network {config.network.name} is trained, but the score {config.score} does not use it: choose "
                "score='reconstruction' or 'nearest_normal', or add one to extra_scores."
            )
        data = check_fit_input(config, X, y, groups=groups, views=views, abnormal=abnormal)
        x, groups = data.x, data.groups
        pieces = find_pieces(x) if groups is None else None
        if pieces is not None:
            log.info(
                f"windows overlap, as they begin every {pieces.stride} rows: {pieces.number[-1] + 1} consecutive pieces are "
                "left out in turn for the scores of their windows. Give groups if the windows are of several recordings."
            )
        fitted = fit_network(
            config,
            data,
            weights=None if weights is None else check_local(weights),
            work_dir=work_dir,
            log_dir=log_dir,
            checkpoint_seconds=checkpoint_seconds,
        )
        shape = (x.shape[1], x.shape[2])
        network: keras.Model | None = None
        draws: Mapping[str, Any] = {}
        if config.network is not None and fitted.network is not None:
            network = build_scoring_network(config, shape)
            network.set_weights(fitted.network.get_weights())
            draws = draw_for_scoring(config.training.seed, shape, config.network.views)
        pipeline = ScoringPipeline(network, fitted.scaling, draws, config, shape)

        features = {FEATURE + name: name for score in scores.values() for name in score.features}
        wanted = (*features, *(("error", *DIAGNOSTICS) if network is not None else ()))
        outputs = concatenate(pipeline.run(x, wanted)) if wanted else {}
        arrays = {name: outputs.pop(key) for key, name in features.items()}
        numbers, error = number_windows(x), outputs.pop("error", None)
        evidence = Evidence(error, arrays, x, numbers, pieces)
        training_scores = fit_scores(scores, evidence, groups)
        pipeline.scores = scores
        pipeline.health = ChannelHealth.fit(x[_spread(len(x), config.bank_size)])
        thresholds = {name: percentile_threshold(own, config.percentile, groups) for name, own in training_scores.items()}
        different = len(np.unique(numbers)) if pieces is None else len(x) * pieces.stride // shape[0]
        if different * config.contamination < 1:
            kind = "different" if pieces is None else "separate"  # those that overlap say little more
            log.warning(
                f"{different} {kind} training windows are too few for a false-alarm rate of {config.contamination:g}, which "
                f"needs {math.ceil(1 / config.contamination)} or more: new normal windows will be flagged more often."
            )
        if fitted.monitor is not None:
            fitted.monitor.finish({name: own[fitted.validation] for name, own in training_scores.items()}, thresholds)

        # assigned at the end: a fit that fails leaves a fitted detector unchanged
        self.config_ = config
        self.pipeline_, self._work = pipeline, fitted.work
        self.data_, self.history_ = fitted.data, fitted.history
        self.training_scores_ = {**training_scores, **outputs}
        self.usual_error_ = None if error is None else np.exp(np.log(error.astype(np.float64) + LOG_FLOOR).mean(axis=0))
        self.examples_ = x[_spread(len(x), EXAMPLES)]
        self.thresholds_ = thresholds
        self.groups_ = None if groups is None else np.unique(groups, return_inverse=True)[1]
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
        training = {"usual_error": self.usual_error_, "groups": self.groups_}
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
            persistence.write_summary(target, self.config_, metrics, self.data_)

    @classmethod
    @tensorflow_runtime()
    def load(cls, folder: str | Path) -> "AMSLDetector":
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
    def _load(cls, folder: Path) -> "AMSLDetector":
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
            detector.pipeline_ = ScoringPipeline(network, scaling, state.get("draws", {}), config, shape, scores, health)
            detector.training_scores_ = state["training_scores"]
            training = state.get("training", {})
            detector.usual_error_ = None if config.network is None else training["usual_error"]
            detector.groups_ = training.get("groups")
            detector.examples_ = state["examples"]["windows"]
        except StorageError:
            raise
        except (OSError, EOFError, KeyError, TypeError, ValueError, BadZipFile) as error:
            reason = " ".join(str(error).split())
            raise AMSLError(f"{folder}: not a complete detector ({reason}). {persistence.ADVICE}") from error
        detector.config_ = config
        detector.data_ = summary.data
        detector.thresholds_ = {name: summary.threshold(name) for name in config.scores}
        detector.history_ = summary.metrics["history"]
        return detector

    def discard_work(self) -> None:
        """Removes the state of the training run that `fit` kept in its `work_dir`, once the result is saved."""
        work = getattr(self, "_work", None)
        if work is not None and work.exists():
            shutil.rmtree(work)
            if not any(work.parent.iterdir()):
                work.parent.rmdir()


def _spread(count: int, most: int) -> np.ndarray:
    """Returns up to `most` evenly spaced positions among `count`, int."""
    return np.linspace(0, count - 1, min(most, count)).astype(int)
