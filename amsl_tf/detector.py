"""The detector: the only place that puts all of the package together."""

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast
from zipfile import BadZipFile

import keras
import numpy as np
from sklearn.exceptions import NotFittedError

from amsl_tf import __version__, saved
from amsl_tf.config import DetectorConfig
from amsl_tf.data.files import atomic_folder, write_json
from amsl_tf.data.windows import Windows, check_labels, check_windows, chunks
from amsl_tf.errors import AMSLError, DataError
from amsl_tf.fitting import fit_network
from amsl_tf.layers import MinMaxScaling
from amsl_tf.models import build_network
from amsl_tf.precision import scoring_policy
from amsl_tf.scoring import SCORERS, NearestNormal, Outputs, Reconstruction, Scorer
from amsl_tf.scoring.path import NEAREST, SCORE, Explanation, ScoringPath
from amsl_tf.threshold import is_abnormal, percentile_threshold
from amsl_tf.transforms import Draw, draw_for_scoring

EXAMPLES = 8  # training windows that are kept
_SAID = ("right_view", "entropy", "view_error")  # what is said of a window beside its scores


class AMSLDetector:
    """Finds abnormal windows in multivariate sensor data after learning from normal ones.

    Args:
        config: All settings.
        settings: Single settings by name instead: `model`, the network (`amsl`, or one of other papers: `memae`, `rftm`,
            `mnad`, `cae`), and its own settings, for `amsl` those of `AMSLConfig` (`views`, `latent_features`, `memory`,
            `self_supervision`, `skip`, `num_slots`, `classification_weight`, `entropy_weight`), for others those of
            `MemAEConfig` and so on; those of `TrainingConfig` (`epochs`, `batch_size`, `learning_rate`, `validation_share`,
            `mixed_precision`, `seed`) and of `DetectorConfig` (`score`, `percentile`, `scoring_precision`, `bank_size`, `axes`,
            `channel_names`).

    Attributes, after `fit`:
        threshold_: A window whose score reaches it is abnormal.
        thresholds_: The same for each score by name.
        training_scores_: By name: what `score_components` says of new windows, of the training windows, each left
            out of what it is compared with.
        history_: The value of each loss at each epoch, by name; with a `log_dir`, the use of the memories and the gates, too.
        data_: Number, shape and hash of the training windows, the training's fingerprint and precision (a Keras dtype policy).
        examples_: A few of the training windows, float32 (up to 8, T, C), which a saved detector keeps: a server warms up on
            real ones.

    Raises:
        AMSLError: A setting is unknown or cannot be used, `config` is none, or both `config` and settings are given.
    """

    def __init__(self, config: DetectorConfig | None = None, **settings: Any) -> None:
        if config is not None and settings:
            raise AMSLError(f"give either config or single settings. Received both: config and {', '.join(settings)}.")
        if config is not None and not isinstance(config, DetectorConfig):
            raise AMSLError(
                f'config must be a DetectorConfig; a network goes by name: AMSLDetector(model="memae"). Received: {config!r}.'
            )
        self.config = config or DetectorConfig.from_settings(**settings)
        self._path: ScoringPath | None = None
        self._work: Path | None = None

    def fit(
        self,
        windows: Any,
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
            windows: An array (N, T, C) or `Windows`; T at least 16, N at least 2. May be memory-mapped.
            groups: Who each window is of, or which recording it is from (N,). If given, one whole group is held back for
                validation, and the nearest-normal training scores leave out a window's whole group: so the threshold is one for
                people or recordings that have not been seen. Needed where windows overlap: each would else be compared with its
                twin, and the threshold would be far too low for new windows. The reconstruction's training scores are of
                windows that the network has seen, and its threshold is too low for new groups all the same.
            views: Materialised views to train on, (N, T, C) by name; made on the fly, anew in every epoch, if None.
            weights: File with the weights of a network that was trained elsewhere (docs/gpu.md), as its `save_weights` writes
                it: nothing is trained then, all the rest is fitted.
            work_dir: Keeps the state of the training, so that the same call goes on after an interruption; `discard_work`
                removes it. Without it the state of an interrupted training is lost.
            log_dir: For TensorBoard: a folder, in which every training gets one of its own.
            abnormal: Abnormal windows (M, T, C), if there are any. TensorBoard shows the first two; nothing is fitted to them.
            checkpoint_seconds: At least so long between two states in an epoch.

        Raises:
            AMSLError: The data or the weights cannot be used, or the training diverges.
        """
        if keras.backend.backend() != "tensorflow":
            raise AMSLError(f"fit needs Keras on TensorFlow (KERAS_BACKEND=tensorflow). Received: {keras.backend.backend()}.")
        x = Windows.of(windows).x
        if len(x) > 1 and not any((part != x[0]).any() for _, part in chunks(x[1:])):
            raise DataError(
                f"windows must differ. Received: {len(x)} that are all the same as float32. Check what was read; take a large "
                "constant offset off."
            )
        groups = None if groups is None else check_labels("groups", groups, len(x))
        shape = (x.shape[1], x.shape[2])
        if shape[1] % self.config.axes:
            raise AMSLError(
                f"axes must divide the number of channels. Received: axes={self.config.axes} and {shape[1]} channels."
            )
        if len(self.config.channel_names) not in (0, shape[1]):
            raise AMSLError(
                f"channel_names must name every channel. Received: {len(self.config.channel_names)} names, {shape[1]} channels."
            )
        if abnormal is not None:
            try:
                abnormal = check_windows(Windows.of(abnormal).x, shape)
            except DataError as error:
                raise DataError(f"abnormal: {error}") from error
        if work_dir is not None and log_dir is not None:
            work, logs = Path(work_dir).resolve(), Path(log_dir).resolve()
            if work in (logs, *logs.parents):
                raise AMSLError(
                    f"{log_dir}: lies in the folder of the training's state, which is removed. Name another log_dir."
                )
        fitted = fit_network(
            self.config,
            x,
            groups,
            views=views,
            weights=None if weights is None else Path(weights),
            work_dir=work_dir,
            log_dir=log_dir,
            abnormal=abnormal,
            checkpoint_seconds=checkpoint_seconds,
        )
        scoring_network = self._scoring_network(shape)
        scoring_network.set_weights(fitted.network.get_weights())
        seed = self.config.training.seed
        path = ScoringPath(scoring_network, fitted.scaling, draw_for_scoring(seed, shape), self.config, shape)

        made = _joined(path.run(x, (*Outputs._fields, *_SAID)))
        outputs = Outputs(*(made.pop(name) for name in Outputs._fields))
        scorers: dict[str, Scorer] = {
            "reconstruction": Reconstruction(),
            "nearest_normal": NearestNormal(self.config.bank_size, seed),
        }
        scores = {name: scorer.fit(outputs, groups) for name, scorer in scorers.items()}
        path.scorers = scorers

        thresholds = {name: percentile_threshold(values, self.config.percentile, groups) for name, values in scores.items()}
        if fitted.monitor is not None:
            fitted.monitor.finish({name: values[fitted.held_back] for name, values in scores.items()}, thresholds)

        # all at once, at the end: a fit that fails leaves a fitted detector as it was
        self._path, self._work = path, fitted.work
        self.data_, self.history_ = fitted.data, fitted.history
        self.training_scores_ = {**scores, **made}
        self.examples_ = x[np.linspace(0, len(x) - 1, min(EXAMPLES, len(x))).astype(int)]
        self.thresholds_ = thresholds
        return self

    @property
    def threshold_(self) -> float:
        """A window whose score reaches it is abnormal. Raises NotFittedError before `fit`."""
        _ = self.scoring_path
        return self.thresholds_[self.config.score]

    @property
    def window_shape(self) -> tuple[int, int]:
        """Time steps and channels of a window. Raises NotFittedError before `fit`."""
        return self.scoring_path.shape

    @property
    def scoring_path(self) -> ScoringPath:
        """The one graph from raw windows to scores. Raises NotFittedError before `fit`."""
        if self._path is None:
            raise NotFittedError("this detector has not been fitted: call fit with normal windows, or load a saved one.")
        return self._path

    def decision_function(self, windows: Any) -> np.ndarray:
        """Scores of windows (N, T, C), float32 (N,); higher is more abnormal.

        A window that was trained on finds itself among the normal ones: its honest score is in `training_scores_`.

        Raises:
            NotFittedError: The detector has not been fitted.
            DataError: The windows have another shape than those it was fitted on, or are not finite.
        """
        name = SCORE + self.config.score
        return _joined(self.scoring_path.run(self._checked(windows), (name,)))[name]

    def predict(self, windows: Any) -> np.ndarray:
        """1 for each abnormal window, 0 for each normal one: int (N,). Raises what `decision_function` raises."""
        return is_abnormal(self.decision_function(windows), self.threshold_).astype(int)

    def score_components(self, windows: Any) -> dict[str, np.ndarray]:
        """Every score of windows by name, float32 (N,) each, and what else is said of them.

        `view_error` (N, R) is the squared error of each view; its sum is the score by reconstruction. `right_view` (N,) is the
        summed probability of the right view (with self-supervision), `entropy` (N,) the summed entropy of the memories'
        attention (with memory). Raises what `decision_function` raises.
        """
        path = self.scoring_path
        made = _joined(path.run(self._checked(windows), (*(SCORE + name for name in path.scorers), *_SAID)))
        return {name.removeprefix(SCORE): values for name, values in made.items()}

    def explain(self, windows: Any) -> Explanation:
        """Where the error of windows (N, T, C) lies. Raises what `decision_function` raises."""
        return Explanation(**_joined(self.scoring_path.run(self._checked(windows), Explanation._fields)))

    @property
    def usual_error_(self) -> np.ndarray:
        """The usual squared error of training windows, by view and channel (R, C): the geometric mean of it + 1e-7.

        In the units of an `Explanation`, which adds views up. Raises NotFittedError before `fit`.
        """
        usual = cast(NearestNormal, self.scoring_path.scorers["nearest_normal"]).usual_error
        return usual.reshape(len(self.config.model.views), -1)

    def nearest(self, windows: Any) -> np.ndarray:
        """The normal window nearest to each window of (N, T, C): its position among what `fit` was given, int (N,).

        Of those that the nearest-normal score keeps (`bank_size`), and by the kind of features that has the most say in it;
        what is near where normal windows lie close together counts as farther. Raises what `decision_function` raises.
        """
        return _joined(self.scoring_path.run(self._checked(windows), (NEAREST,)))[NEAREST]

    def save(self, folder: str | Path) -> None:
        """Writes the fitted detector to a folder of its own, which replaces a detector that is there.

        Raises:
            NotFittedError: The detector has not been fitted.
            AMSLError: The folder holds something other than a detector.
        """
        path = self.scoring_path
        parts = {"scaling": path.scaling.state(), "draw": path.draw._asdict(), "training_scores": self.training_scores_}
        parts["examples"] = {"windows": self.examples_}
        with atomic_folder(Path(folder), saved.ENTRIES) as target:
            saved.write_state(target, {**parts, **{name: scorer.state() for name, scorer in path.scorers.items()}})
            path.network.save_weights(target / saved.WEIGHTS)
            write_json(target / saved.METRICS, {"thresholds": self.thresholds_, "history": self.history_})
            write_json(target / saved.DATA, self.data_)
            about = {
                "format": saved.FORMAT,
                "amsl_tf": __version__,
                "files": saved.hash_files(target),
                "config": self.config.to_dict(),
            }
            write_json(target / saved.CONFIG, about)

    @classmethod
    def load(cls, folder: str | Path) -> "AMSLDetector":
        """Reads a detector that `save` has written. Nothing in the folder is run.

        Raises:
            AMSLError: A file is missing, broken or of another version of the format, or its arrays are not the saved ones.
        """
        source = Path(folder)
        summary = saved.read_summary(source)
        detector = cls(summary.config)
        detector.data_ = summary.data
        detector.thresholds_ = {name: summary.threshold(name) for name in SCORERS}
        detector.history_ = summary.metrics["history"]
        shape = (summary.data["steps"], summary.data["channels"])
        try:
            state = saved.read_state(source, summary)
            network = detector._scoring_network(shape)
            network.load_weights(source / saved.WEIGHTS)
            scaling = MinMaxScaling()
            scaling.restore(**state["scaling"])
            scorers = {name: make(**state.get(name, {})) for name, make in SCORERS.items()}
            detector._path = ScoringPath(network, scaling, Draw(**state["draw"]), detector.config, shape, scorers)
            detector.training_scores_ = state["training_scores"]
            detector.examples_ = state["examples"]["windows"]
        except (OSError, EOFError, KeyError, TypeError, ValueError, BadZipFile) as error:
            raise AMSLError(f"{source}: not a whole detector ({error}). {saved.ADVICE}") from error
        return detector

    def discard_work(self) -> None:
        """Removes the state of the training that `fit` kept in its `work_dir`, once its result is safe."""
        if self._work is not None and self._work.exists():
            shutil.rmtree(self._work)
            if not any(self._work.parent.iterdir()):
                self._work.parent.rmdir()

    def _scoring_network(self, shape: tuple[int, int]) -> keras.Model:
        """A network in the precision of scoring, without the weights."""
        return build_network(self.config.model, shape, dtype=scoring_policy(self.config.scoring_precision))

    def _checked(self, windows: Any) -> np.ndarray:
        return check_windows(windows.x if isinstance(windows, Windows) else windows, self.window_shape)


def _joined(parts: Iterable[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Arrays of some windows by name, joined to arrays of all."""
    collected: dict[str, list[np.ndarray]] = {}
    for part in parts:
        for name, values in part.items():
            collected.setdefault(name, []).append(values)
    return {name: np.concatenate(values) for name, values in collected.items()}
