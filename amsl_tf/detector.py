"""The detector, an estimator with the interface of scikit-learn."""

import logging
import shutil
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
from sklearn.base import BaseEstimator

from amsl_tf.config import DEFAULT_SCORE, ENSEMBLE, NOISE, DetectorConfig, MixedPrecision, OnDeadChannel, ScoringPrecision
from amsl_tf.data.choices import Missing, ResampleBy
from amsl_tf.data.files import check_local
from amsl_tf.data.pieces import Pieces, find_pieces
from amsl_tf.data.reading import Reading
from amsl_tf.data.recordings import Recordings, check_channels
from amsl_tf.data.skipped import Skipped, use_first
from amsl_tf.data.windows import number_windows
from amsl_tf.errors import AMSLError
from amsl_tf.networks import NetworkConfig
from amsl_tf.runtime import release_kernels, tensorflow_runtime
from amsl_tf.saving import Fitted, SavingMixin
from amsl_tf.scoring import DIAGNOSTICS
from amsl_tf.scoring.detection import concatenate
from amsl_tf.scoring.features.reconstruction_error import LOG_FLOOR
from amsl_tf.scoring.health import ChannelHealth
from amsl_tf.scoring.members.base import Evidence, fit_scores, make_scores
from amsl_tf.scoring.pipeline import FEATURE, ScoringPipeline, build_scoring_network
from amsl_tf.scoring.threshold import percentile_threshold
from amsl_tf.training.examples import EXAMPLES, RANGE_WINDOWS, find_range, spread, warn_of_few
from amsl_tf.training.fit import fit_network
from amsl_tf.training.inputs import FitInput, check_fit_input
from amsl_tf.training.recordings import collect_windows
from amsl_tf.training.window_plan import plan_windows
from amsl_tf.views.operations import draw_for_scoring

log = logging.getLogger(__name__)

_DEPRECATED = "deprecated"


class AMSLDetector(SavingMixin, BaseEstimator):
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
        normal_range_: float32 (2, C), the 0.5th and 99.5th percentiles of each channel in the training windows, in its units;
            None if an older version saved the detector.
        preparation_: How recordings are prepared, as for `fit_recordings`; the default after `fit`.
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
        config = self.config
        data = check_fit_input(config, X, y, groups=groups, views=views, abnormal=abnormal)
        pieces = find_pieces(data.x) if data.groups is None else None
        if pieces is not None:
            log.info(
                f"windows overlap, as they begin every {pieces.stride} rows: {pieces.number[-1] + 1} consecutive pieces are "
                "left out in turn for the scores of their windows. Give groups if the windows are of several recordings."
            )
        options: dict[str, Any] = {"work_dir": work_dir, "log_dir": log_dir, "checkpoint_seconds": checkpoint_seconds}
        return self.set_fitted(self._fit(config, data, pieces, weights, **options))

    @tensorflow_runtime()
    def fit_recordings(
        self,
        recordings: Any,
        *,
        window: int | str | timedelta | None = None,
        stride: int | str | timedelta | None = None,
        groups: Any = "file",
        rate: float | None = None,
        resample: str | timedelta | None = None,
        resample_by: ResampleBy = "mean",
        max_gap: int | str | timedelta | None = None,
        missing: Missing = "interpolate",
        max_fill: int | str | timedelta | None = None,
        reading: Reading | None = None,
        skipped: list[Skipped] | None = None,
        work_dir: str | Path | None = None,
        log_dir: str | Path | None = None,
        checkpoint_seconds: float = 60.0,
    ) -> "AMSLDetector":
        """Learns from recordings of normal operation, which are cut into windows.

        The threshold is the percentile of the scores of all windows together, each without its group or piece.

        Rows with the label 1 are abnormal: windows with one are left out, and so are those with missing values. What is found
        and done is logged. The names of the channels are those of the recordings, unless `channel_names` are given.

        Args:
            recordings: What `Recordings.of` accepts: paths of files and folders, `Recording` objects, data frames of pandas or
                polars, arrays (rows, C), a list or a dict of them.
            window: The length of a window, in rows or in time, such as 100 or "2s"; at least 16 rows. By default two periods of
                the channels, found by autocorrelation.
            stride: The length between the starts of windows; a quarter of a window by default.
            groups: What is left out together for honest scores of normal windows: each `file`, each `folder`, or a group for
                each recording. Of fewer than three, consecutive pieces are left out, with a gap around them.
            rate: The sampling rate in Hz of recordings without times.
            resample: The time between rows after resampling, such as "20ms".
            resample_by: The value of a new row: the `mean` of the rows in its interval, or the `last`.
            max_gap: The longest step between two times that a window may span; by default a quarter of a window.
            missing: `interpolate` or `refuse` missing values.
            max_fill: The longest run of missing values that is interpolated; a tenth of a window by default.
            reading: Which columns of files and data frames are channels, times and labels.
            skipped: A list to which recordings that cannot be read are added; if None, such a recording is an error.
            work_dir, log_dir, checkpoint_seconds: As for `fit`.

        Returns:
            The fitted detector itself.

        Raises:
            AMSLError: A parameter is invalid, or recordings cannot be read or used.

        Example:
            >>> detector = AMSLDetector().fit_recordings("normal/", window="1min")
            >>> detector.score_recording("today.csv").events
        """
        config = self.config
        opened = Recordings.of(recordings, reading, config.channel_names, skipped=skipped)
        if config.channel_names:
            check_channels(opened[0], config.channel_names, "the channel_names of the detector")
        plan_one = partial(
            plan_windows,
            window=window,
            stride=stride,
            rate=rate,
            resample=resample,
            resample_by=resample_by,
            max_gap=max_gap,
            missing=missing,
            max_fill=max_fill,
        )
        plan = use_first(opened, plan_one, skip_bad=skipped is not None)
        found = collect_windows(opened, plan, groups, skipped)
        config = replace(config, channel_names=found.channel_names)
        data = check_fit_input(config, found.x, groups=found.groups)
        options: dict[str, Any] = {"work_dir": work_dir, "log_dir": log_dir, "checkpoint_seconds": checkpoint_seconds}
        fitted = self._fit(config, data, found.pieces, is_pooled=True, **options)
        return self.set_fitted(fitted._replace(recordings=found.metadata, segments=found.segment, rows=found.row))

    def _fit(
        self,
        config: DetectorConfig,
        data: FitInput,
        pieces: Pieces | None,
        weights: str | Path | None = None,
        *,
        is_pooled: bool = False,
        **options: Any,
    ) -> Fitted:
        """Fits everything to validated windows.

        With `is_pooled` the threshold is that of all held-out windows together, so that it keeps its rate over the time of
        operation; else it is the median of the thresholds of the groups, which a single atypical group does not change.
        """
        release_kernels()  # of the networks of earlier calls
        scores = make_scores(config)
        if config.network is not None and not any(score.needs_network for score in scores.values()):
            log.warning(
                f"the network {config.network.name} is trained, but the score {config.score} does not use it: choose "
                "score='reconstruction' or 'nearest_normal', or add one to extra_scores."
            )
        x, groups = data.x, data.groups
        fitted = fit_network(config, data, weights=None if weights is None else check_local(weights), **options)
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
        pipeline.health = ChannelHealth.fit(x[spread(len(x), config.bank_size)])
        typical = None if is_pooled else groups
        thresholds = {name: percentile_threshold(own, config.percentile, typical) for name, own in training_scores.items()}
        different = len(np.unique(numbers)) if pieces is None else len(x) * pieces.stride // shape[0]
        warn_of_few(different, config.contamination, is_overlapping=pieces is not None)
        if fitted.monitor is not None:
            fitted.monitor.finish({name: own[fitted.validation] for name, own in training_scores.items()}, thresholds)
        self._work = fitted.work
        return Fitted(
            config=config,
            pipeline=pipeline,
            thresholds=thresholds,
            training_scores={**training_scores, **outputs},
            examples=x[spread(len(x), EXAMPLES)],
            data=fitted.data,
            history=fitted.history,
            usual_error=None if error is None else np.exp(np.log(error.astype(np.float64) + LOG_FLOOR).mean(axis=0)),
            groups=None if typical is None else np.unique(typical, return_inverse=True)[1],
            normal_range=find_range(x[spread(len(x), RANGE_WINDOWS)]),
        )

    def plot(self, recording: Any, **options: Any) -> Any:
        """Draws a recording for a notebook: its score with the threshold and the events, and the channels that made them.

        Args:
            recording: What `Recordings.of` accepts, one recording; it is read into memory.
            options: Further arguments of `score_recording`.

        Returns:
            A Matplotlib figure.

        Raises:
            NotFittedError: The detector is not fitted.
            AMSLError: The recording cannot be read, or does not fit the detector.
        """
        from amsl_tf import plotting  # imports Matplotlib, which takes half a second

        loaded = self.load_recording(recording, reading=options.pop("reading", None), resample=options.pop("resample", False))
        return plotting.recording(loaded, self.score_recording(loaded, **options), self.normal_range_)

    def discard_work(self) -> None:
        """Removes the state of the training run that `fit` kept in its `work_dir`, once the result is saved."""
        work = getattr(self, "_work", None)
        if work is not None and work.exists():
            shutil.rmtree(work)
            if not any(work.parent.iterdir()):
                work.parent.rmdir()
