"""The Keras callback that writes TensorBoard files."""

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import psutil
import tensorflow as tf
from keras import ops
from tensorboard.plugins.hparams import api as hparams
from tensorboard.plugins.hparams import api_pb2, summary

from amsl_tf import plotting
from amsl_tf.config import DetectorConfig
from amsl_tf.data.files import reserve_space
from amsl_tf.data.windows import chunks
from amsl_tf.errors import AMSLError
from amsl_tf.networks.layers import AdaptiveFusion
from amsl_tf.networks.losses import losses_for
from amsl_tf.scoring.threshold import percentile_threshold
from amsl_tf.training.monitoring.event_files import truncate_after_step, write_projector
from amsl_tf.training.monitoring.memory_usage import Memories, MemoryReads
from amsl_tf.views import split_views

EVERY = 20  # steps between two points of a curve
PICTURES = 10  # epochs with pictures, at most one more
PICTURED = 2  # windows of each class in pictures
BATCH = 16
EPOCH_BYTES = 2**20  # of the files of an epoch, about; TensorFlow says nothing if they cannot be written
GIB = 2**30


class MonitorBatch(NamedTuple):
    """Windows that are evaluated after every epoch, as scaled views.

    Attributes:
        normal: float32 (N, R, T, C), validation windows.
        abnormal: float32 (M, R, T, C), windows for pictures only; M may be 0.
    """

    normal: np.ndarray
    abnormal: np.ndarray


class Monitor(keras.callbacks.Callback):
    """A Keras callback that writes the TensorBoard files of a training run, and measures the use of memories at every epoch.

    Its folder has three runs: `.` with the settings, the network as text and the slots for the projector; `train` and
    `validation` with curves. The step of a point is the number of training steps so far, also after an interruption.

    Args:
        folder: The folder for this training run alone.
        network: The complete network, of which a part is trained.
        config: The settings of the detector.
        batch: The windows to evaluate.
        windows: The number of training windows in an epoch.

    Attributes:
        measured: The use of each memory and the gates of the fusion in the last epoch, by name.
    """

    def __init__(self, folder: Path, network: keras.Model, config: DetectorConfig, batch: MonitorBatch, windows: int) -> None:
        super().__init__()
        self.measured: dict[str, float] = {}
        self._folder, self._network, self._config, self._monitored = folder, network, config, batch
        self._windows, self._batch = windows, config.training.batch_size
        self._steps = math.ceil(windows / self._batch)
        self._memories = Memories(network)
        signature = tf.TensorSpec((None, *batch.normal.shape[1:]), tf.float32)
        self._evaluate = tf.function(self._evaluate_views, autograph=False, input_signature=[signature])
        assert config.network is not None
        _, weights = losses_for(config.network)
        self._weights = {f"{name}_loss": weight for name, weight in weights.items()}
        self._picture_interval = math.ceil(config.training.epochs / PICTURES)

    def begin(self, step: int) -> None:
        """Opens the files, or continues those of a training run that resumes.

        Args:
            step: The number of training steps so far.

        Raises:
            AMSLError: The files cannot be written. The other methods that write raise it, too.
        """
        self._step, self._started, self._spent = step, time.perf_counter(), 0.0
        with self._writing():
            self._folder.mkdir(parents=True, exist_ok=True)
            reserve_space(self._folder, EPOCH_BYTES)
            truncate_after_step(self._folder, step)
            is_new = not any(self._folder.glob("events*"))
            self._root, self._train, self._validation = (
                tf.summary.create_file_writer(str(self._folder / name)) for name in ("", "train", "validation")
            )
            if is_new:
                with self._root.as_default(step=0):
                    self._write_settings()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._interval = _Interval()
        self._first = self._step % self._steps  # steps done in an interrupted epoch

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self._step += 1
        in_epoch = self._first + batch + 1
        if in_epoch % EVERY == 0 or in_epoch == self._steps:
            counted = min(in_epoch * self._batch, self._windows) - self._first * self._batch
            with self._writing(), self._train.as_default(step=self._step):
                self._write_interval(logs or {}, batch + 1, counted)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        values = {name.removeprefix("val_"): value for name, value in (logs or {}).items() if name.startswith("val_")}
        if not all(map(math.isfinite, values.values())):
            return  # the training run has diverged and ends with an error
        with self._writing(), self._validation.as_default(step=self._step):
            reserve_space(self._folder, EPOCH_BYTES)
            self._write_losses(values)
            scores, reads = self._evaluate_normal()
            self._write_scores(scores)
            self.measured = self._measure(reads)
            for name, value in self.measured.items():
                tf.summary.scalar(name, value)
            self._write_histograms(reads)
            if epoch == 0 or (epoch + 1) % self._picture_interval == 0 or epoch + 1 == self._config.training.epochs:
                self._write_pictures(scores)
                self._write_slots(reads)
        with self._writing(), self._train.as_default(step=self._step):
            tf.summary.scalar("training/monitoring_share", self._spent / (time.perf_counter() - self._started))

    def finish(self, scores: Mapping[str, np.ndarray], thresholds: Mapping[str, float]) -> None:
        """Writes the histograms of the scores of the validation windows, with the thresholds, and closes the files.

        Args:
            scores: The scores (N,) by name.
            thresholds: The thresholds of the scores by name.

        Raises:
            AMSLError: The files cannot be written.
        """
        last = self._step + 1  # so that a training run that resumes at this step truncates it
        with self._writing():
            with self._validation.as_default(step=last):
                for name, values in scores.items():
                    picture = plotting.score_histogram({"normal, validation": values}, thresholds[name], name)
                    tf.summary.image(f"score/{name}", plotting.pixels(picture)[None])
            with self._root.as_default(step=last):
                ended = summary.session_end_pb(api_pb2.STATUS_SUCCESS)
                tf.summary.experimental.write_raw_pb(ended.SerializeToString(), step=last)
            for writer in (self._root, self._train, self._validation):
                writer.close()

    def _evaluate_views(self, views: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, dict[str, list[MemoryReads]]]:
        """Evaluates views (B, R, T, C): reconstruction scores (B,), reconstructions (B, R, T, C), reads of each memory."""
        inputs = split_views(views, self._config.views)
        reconstruction = self._network(inputs, training=False)["reconstruction"]
        scores = ops.sum(ops.mean(ops.square(reconstruction - views), axis=(2, 3)), axis=1)
        reads: dict[str, list[MemoryReads]] = {name: [] for name in self._memories.by_name}
        encoder = self._network.get_layer("encoder")
        for view, values in inputs.items() if reads else ():
            latent = encoder(values[..., None], training=False)
            for name, view_reads in self._memories.reads(view, ops.reshape(latent, (-1, latent.shape[-1]))):
                reads[name].append(view_reads)
        return scores, reconstruction, reads

    def _evaluate_normal(self) -> tuple[np.ndarray, dict[str, MemoryReads]]:
        """Evaluates the normal windows: their reconstruction scores (N,) and the reads of each memory."""
        scores: list[np.ndarray] = []
        parts: dict[str, list[MemoryReads]] = {name: [] for name in self._memories.by_name}
        for _, views in chunks(self._monitored.normal, BATCH):
            batch_scores, _, reads = self._evaluate(tf.convert_to_tensor(views))
            scores.append(batch_scores.numpy())
            for name, batch_reads in reads.items():
                parts[name].extend(batch_reads)
        return np.concatenate(scores), {name: MemoryReads.combine(batches) for name, batches in parts.items()}

    def _measure(self, reads: Mapping[str, MemoryReads]) -> dict[str, float]:
        """Computes the use of each memory and, for AMSL, the gates of the fusion, by name."""
        values = {
            f"memory_{measure}/{name}": value
            for name, memory_reads in reads.items()
            for measure, value in memory_reads.usage().items()
        }
        for layer in (layer for layer in self._network.layers if isinstance(layer, AdaptiveFusion)):
            kinds = [kind for kind in ("local", "global") if any(name.startswith(kind) for name in reads)]
            for kind, gates in zip(kinds, ops.convert_to_numpy(ops.sigmoid(layer.gates)), strict=True):
                views = self._config.views
                values |= {f"fusion_gate/{kind}_{view}": float(gate) for view, gate in zip(views, gates, strict=True)}
        return values

    def _write_settings(self) -> None:
        """Writes the settings for the tab HParams and the network as text."""
        values = self._config.flat()
        measured = ("loss/total", "loss/reconstruction", "score/threshold")
        metrics = [hparams.Metric(tag, group="validation", display_name=tag) for tag in measured]
        hparams.hparams_config([hparams.HParam(name) for name in values], metrics)
        hparams.hparams(values, trial_id=self._folder.name)
        lines: list[str] = []
        self._network.summary(line_length=84, expand_nested=True, print_fn=lines.append)
        tf.summary.text("network", "\n".join(f"    {line}" for text in lines for line in text.splitlines()))

    def _write_interval(self, logs: Mapping[str, float], batches: int, windows: int) -> None:
        """Writes the losses since the last point, the speed and the memory of the process."""
        losses, speed = self._interval.read(logs, batches, windows)
        self._write_losses(losses)
        tf.summary.scalar("training/windows_per_second", speed)
        optimizer = self.model.optimizer
        tf.summary.scalar("training/learning_rate", optimizer.learning_rate)
        if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
            tf.summary.scalar("training/loss_scale", optimizer.dynamic_scale)
        tf.summary.scalar("process/memory_gib", psutil.Process().memory_info().rss / GIB)
        for name, size in _device_memory().items():
            tf.summary.scalar(f"process/device_memory_{name}_gib", size / GIB)

    def _write_losses(self, values: Mapping[str, float]) -> None:
        """Writes the objective, its terms by name, and the weighted terms."""
        tf.summary.scalar("loss/total", values["loss"])
        for name, weight in self._weights.items():
            value = values.get(name, values["loss"])  # Keras does not name a single term
            tf.summary.scalar(f"loss/{name.removesuffix('_loss')}", value)
            tf.summary.scalar(f"weighted_loss/{name.removesuffix('_loss')}", value * weight)

    def _write_scores(self, scores: np.ndarray) -> None:
        tf.summary.histogram("score/validation_normal", scores)
        tf.summary.scalar("score/threshold", percentile_threshold(scores, self._config.percentile, None))

    def _write_histograms(self, reads: Mapping[str, MemoryReads]) -> None:
        for name, memory in self._memories.by_name.items():
            relative = reads[name].share * memory.num_slots  # 1 in uniform reading
            tf.summary.histogram(f"attention_share/{name}", relative)
            tf.summary.histogram(f"slots/{name}", memory.slots)

    def _write_pictures(self, scores: np.ndarray) -> None:
        threshold = percentile_threshold(scores, self._config.percentile, None)
        picture = plotting.score_histogram({"normal, validation": scores}, threshold, "reconstruction")
        tf.summary.image("score/reconstruction", plotting.pixels(picture)[None])
        views = ", ".join(self._config.views)
        description = f"Rows: input, reconstruction, error. Columns: {views}. Time runs down, channels across."
        for kind, windows in self._monitored._asdict().items():
            for number, window in enumerate(windows[:PICTURED], 1):
                _, reconstruction, _ = self._evaluate(tf.convert_to_tensor(window[None]))
                mosaic = plotting.mosaic(window, reconstruction[0].numpy())
                tf.summary.image(f"windows/{kind}_{number}", mosaic[None], description=description)

    def _write_slots(self, reads: Mapping[str, MemoryReads]) -> None:
        if not reads:
            return
        columns: dict[str, list[str]] = {"memory": [], "slot": [], "share": [], "state": []}
        for name, memory_reads in reads.items():
            relative = memory_reads.share * len(memory_reads.share)
            for slot, (share, dead) in enumerate(zip(relative, memory_reads.dead, strict=True)):
                row = (name, str(slot), f"{share:.3g}", "dead" if dead else "alive")
                for column, value in zip(columns.values(), row, strict=True):
                    column.append(value)
        points = np.concatenate([ops.convert_to_numpy(memory.slots) for memory in self._memories.by_name.values()])
        write_projector(self._folder, "memory_slots", points, columns)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Adds the time of a block to that of this callback, and converts errors of files to AMSLError."""
        started = time.perf_counter()
        try:
            yield
        except (tf.errors.OpError, OSError) as error:
            raise AMSLError(
                f"{self._folder}: TensorBoard's files cannot be written ({error}). Name another folder for them, or make room."
            ) from error
        self._spent += time.perf_counter() - started


def _device_memory() -> dict[str, int]:
    """Returns the bytes in use on the first GPU, `current` and `peak`; empty if there is no GPU or it does not report them."""
    if not tf.config.list_physical_devices("GPU"):
        return {}
    try:
        return tf.config.experimental.get_memory_info("GPU:0")
    except (ValueError, tf.errors.OpError):
        return {}


class _Interval:
    """The means of losses between two points of a curve, from the running means that Keras reports.

    Keras averages the objective, `loss`, over windows and its terms over batches: the last batch of an epoch, which may be
    smaller, has a smaller weight in the former and the same weight as others in the latter.
    """

    def __init__(self) -> None:
        self._totals: dict[str, float] = {}
        self._batches, self._windows, self._since = 0, 0, time.perf_counter()

    def read(self, means: Mapping[str, float], batches: int, windows: int) -> tuple[dict[str, float], float]:
        """Ends the interval and starts the next.

        Args:
            means: The means since the start of the first interval.
            batches, windows: The numbers of batches and windows since then.

        Returns:
            The means in the interval, and the speed in windows/s.
        """
        now = time.perf_counter()
        totals, interval_means = {}, {}
        for name, mean in means.items():
            count, before = (windows, self._windows) if name == "loss" else (batches, self._batches)
            totals[name] = mean * count
            interval_means[name] = (totals[name] - self._totals.get(name, 0.0)) / (count - before)
        speed = (windows - self._windows) / (now - self._since)
        self._totals, self._batches, self._windows, self._since = totals, batches, windows, now
        return interval_means, speed
