"""The callback that writes TensorBoard's files."""

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

from amsl_tf import figures
from amsl_tf.config import DetectorConfig
from amsl_tf.data.windows import chunks
from amsl_tf.errors import AMSLError
from amsl_tf.layers import AdaptiveFusion
from amsl_tf.losses import losses_for
from amsl_tf.monitoring.event_files import forget_after, write_projector
from amsl_tf.monitoring.memory_usage import Memories, Reads
from amsl_tf.threshold import percentile_threshold
from amsl_tf.views import split_views

EVERY = 20  # steps from one point of a curve to the next
PICTURES = 10  # times that pictures are made, at most one more
PICTURED = 2  # windows of each kind
BATCH = 16
GIB = 2**30


class Watched(NamedTuple):
    """Windows that are looked at after every epoch, as scaled views.

    Attributes:
        normal: float32 (N, R, T, C), of the windows that are held back for validation.
        abnormal: float32 (M, R, T, C), of which pictures are made and nothing else; M may be 0.
    """

    normal: np.ndarray
    abnormal: np.ndarray


class Monitor(keras.callbacks.Callback):
    """Writes what TensorBoard shows of a training, and measures the use of the memories at every epoch.

    There are three runs in its folder: `.` has the settings, the network as text and the slots for the projector; `train` and
    `validation` have curves. The step of a point is the number of batches that were trained on, also after an interruption.

    Args:
        folder: Of this training alone.
        network: The whole one, whose parts are trained.
        config: Of the detector.
        watched: Windows to look at.
        windows: To train on in an epoch, their number.

    Attributes:
        measured: Of the last epoch, by name: the use of each memory and the fusion's gates.
    """

    def __init__(self, folder: Path, network: keras.Model, config: DetectorConfig, watched: Watched, windows: int) -> None:
        super().__init__()
        self.measured: dict[str, float] = {}
        self._folder, self._network, self._config, self._watched = folder, network, config, watched
        self._windows, self._batch = windows, config.training.batch_size
        self._steps = math.ceil(windows / self._batch)
        self._memories = Memories(network)
        signature = tf.TensorSpec((None, *watched.normal.shape[1:]), tf.float32)
        self._look = tf.function(self._look_at, autograph=False, input_signature=[signature])
        _, weights = losses_for(config.model)
        self._weights = {f"{name}_loss": weight for name, weight in weights.items()}
        self._pictured = math.ceil(config.training.epochs / PICTURES)

    def begin(self, step: int) -> None:
        """Starts the files, or goes on with those of a training that has done so many steps.

        Raises:
            AMSLError: They cannot be written; what else writes them raises it, too.
        """
        self._step, self._started, self._spent = step, time.perf_counter(), 0.0
        with self._writing():
            forget_after(self._folder, step)
            is_new = not any(self._folder.glob("events*"))
            self._root, self._train, self._validation = (
                tf.summary.create_file_writer(str(self._folder / name)) for name in ("", "train", "validation")
            )
            if is_new:
                with self._root.as_default(step=0):
                    self._write_settings()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._interval = _Interval()
        self._first = self._step % self._steps  # of an epoch that was interrupted

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
            return  # the training has diverged, and ends with an error
        with self._writing(), self._validation.as_default(step=self._step):
            self._write_losses(values)
            scores, reads = self._look_at_normal()
            self._write_scores(scores)
            self.measured = self._measure(reads)
            for name, value in self.measured.items():
                tf.summary.scalar(name, value)
            self._write_histograms(reads)
            if epoch == 0 or (epoch + 1) % self._pictured == 0 or epoch + 1 == self._config.training.epochs:
                self._write_pictures(scores)
                self._write_slots(reads)
        with self._writing(), self._train.as_default(step=self._step):
            tf.summary.scalar("training/monitoring_share", self._spent / (time.perf_counter() - self._started))

    def finish(self, scores: Mapping[str, np.ndarray], thresholds: Mapping[str, float]) -> None:
        """Writes how the scores (N,) of the windows held back lie beside the thresholds, and closes the files."""
        last = self._step + 1  # of what a later start at this step must forget
        with self._writing():
            with self._validation.as_default(step=last):
                for name, values in scores.items():
                    picture = figures.score_histogram({"normal, held back": values}, thresholds[name], name)
                    tf.summary.image(f"score/{name}", figures.pixels(picture)[None])
            with self._root.as_default(step=last):
                ended = summary.session_end_pb(api_pb2.STATUS_SUCCESS)
                tf.summary.experimental.write_raw_pb(ended.SerializeToString(), step=last)
            for writer in (self._root, self._train, self._validation):
                writer.close()

    def _look_at(self, views: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, dict[str, list[Reads]]]:
        """Of views (B, R, T, C): the paper's scores (B,), the reconstruction (B, R, T, C), the reads of each memory."""
        inputs = split_views(views, self._config.model.views)
        made = self._network(inputs, training=False)["reconstruction"]
        scores = ops.sum(ops.mean(ops.square(made - views), axis=(2, 3)), axis=1)
        reads: dict[str, list[Reads]] = {name: [] for name in self._memories.by_name}
        encoder = self._network.get_layer("encoder")
        for view, values in inputs.items() if reads else ():
            latent = encoder(values[..., None], training=False)
            for name, of_view in self._memories.reads(view, ops.reshape(latent, (-1, latent.shape[-1]))):
                reads[name].append(of_view)
        return scores, made, reads

    def _look_at_normal(self) -> tuple[np.ndarray, dict[str, Reads]]:
        """The paper's scores of the watched normal windows, and what they read of each memory."""
        scores: list[np.ndarray] = []
        parts: dict[str, list[Reads]] = {name: [] for name in self._memories.by_name}
        for _, views in chunks(self._watched.normal, BATCH):
            of_views, _, reads = self._look(tf.convert_to_tensor(views))
            scores.append(of_views.numpy())
            for name, several in reads.items():
                parts[name].extend(several)
        return np.concatenate(scores), {name: Reads.joined(several) for name, several in parts.items()}

    def _measure(self, reads: Mapping[str, Reads]) -> dict[str, float]:
        values = {f"memory_{measure}/{name}": value for name, of in reads.items() for measure, value in of.usage().items()}
        for layer in (layer for layer in self._network.layers if isinstance(layer, AdaptiveFusion)):
            kinds = [kind for kind in ("local", "global") if any(name.startswith(kind) for name in reads)]
            for kind, of_kind in zip(kinds, ops.convert_to_numpy(ops.sigmoid(layer.gates)), strict=True):
                values |= {
                    f"fusion_gate/{kind}_{view}": float(gate)
                    for view, gate in zip(self._config.model.views, of_kind, strict=True)
                }
        return values

    def _write_settings(self) -> None:
        """The settings for the tab HParams, and the network as text."""
        values = self._config.flat()
        measured = ("loss/total", "loss/reconstruction", "score/threshold")
        metrics = [hparams.Metric(tag, group="validation", display_name=tag) for tag in measured]
        hparams.hparams_config([hparams.HParam(name) for name in values], metrics)
        hparams.hparams(values, trial_id=self._folder.name)
        lines: list[str] = []
        self._network.summary(line_length=84, expand_nested=True, print_fn=lines.append)
        tf.summary.text("network", "\n".join(f"    {line}" for text in lines for line in text.splitlines()))

    def _write_interval(self, logs: Mapping[str, float], batches: int, windows: int) -> None:
        """Losses since the last point, the speed and what the process takes."""
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
        """The objective, its terms by name, and the terms times their weights in it."""
        tf.summary.scalar("loss/total", values["loss"])
        for name, weight in self._weights.items():
            value = values.get(name, values["loss"])  # where there is one term only Keras does not name it
            tf.summary.scalar(f"loss/{name.removesuffix('_loss')}", value)
            tf.summary.scalar(f"weighted_loss/{name.removesuffix('_loss')}", value * weight)

    def _write_scores(self, scores: np.ndarray) -> None:
        tf.summary.histogram("score/validation_normal", scores)
        tf.summary.scalar("score/threshold", percentile_threshold(scores, self._config.percentile, None))

    def _write_histograms(self, reads: Mapping[str, Reads]) -> None:
        for name, memory in self._memories.by_name.items():
            tf.summary.histogram(f"attention_share/{name}", reads[name].share * memory.num_slots)  # 1 is a slot's fair share
            tf.summary.histogram(f"slots/{name}", memory.slots)

    def _write_pictures(self, scores: np.ndarray) -> None:
        threshold = percentile_threshold(scores, self._config.percentile, None)
        picture = figures.score_histogram({"normal, held back": scores}, threshold, "reconstruction")
        tf.summary.image("score/reconstruction", figures.pixels(picture)[None])
        views = ", ".join(self._config.model.views)
        described = f"Rows: input, reconstruction, error. Columns: {views}. Time goes down, channels across."
        for kind, several in self._watched._asdict().items():
            for number, window in enumerate(several[:PICTURED], 1):
                _, made, _ = self._look(tf.convert_to_tensor(window[None]))
                mosaic = figures.mosaic(window, made[0].numpy())
                tf.summary.image(f"windows/{kind}_{number}", mosaic[None], description=described)

    def _write_slots(self, reads: Mapping[str, Reads]) -> None:
        if not reads:
            return
        about: dict[str, list[str]] = {"memory": [], "slot": [], "share": [], "state": []}
        for name, of_memory in reads.items():
            for slot, (share, dead) in enumerate(zip(of_memory.share * len(of_memory.share), of_memory.dead, strict=True)):
                for column, word in zip(about, (name, str(slot), f"{share:.3g}", "dead" if dead else "alive"), strict=True):
                    about[column].append(word)
        points = np.concatenate([ops.convert_to_numpy(memory.slots) for memory in self._memories.by_name.values()])
        write_projector(self._folder, "memory_slots", points, about)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Counts the time of a block as this callback's own; what TensorFlow says of files becomes an error of a line."""
        started = time.perf_counter()
        try:
            yield
        except (tf.errors.OpError, OSError) as error:
            raise AMSLError(
                f"{self._folder}: TensorBoard's files cannot be written ({error}). Name another --log-dir."
            ) from error
        self._spent += time.perf_counter() - started


def _device_memory() -> dict[str, int]:
    """Bytes in use on the first GPU, now and at most; nothing where there is none, or it does not say."""
    if not tf.config.list_physical_devices("GPU"):
        return {}
    try:
        return tf.config.experimental.get_memory_info("GPU:0")
    except (ValueError, tf.errors.OpError):
        return {}


class _Interval:
    """Means of losses from one point of a curve to the next, out of the means since Keras began to count.

    The mean of the objective, `loss`, is over windows, those of its terms are over batches: the last batch of an epoch, which
    may be smaller, counts for less in the former and as much as others in the latter.
    """

    def __init__(self) -> None:
        self._totals: dict[str, float] = {}
        self._batches, self._windows, self._since = 0, 0, time.perf_counter()

    def read(self, means: Mapping[str, float], batches: int, windows: int) -> tuple[dict[str, float], float]:
        """Ends the interval: the means in it, and windows/s.

        Args:
            means: Since the first interval began.
            batches, windows: How many these are.
        """
        now = time.perf_counter()
        totals, found = {}, {}
        for name, mean in means.items():
            count, before = (windows, self._windows) if name == "loss" else (batches, self._batches)
            totals[name] = mean * count
            found[name] = (totals[name] - self._totals.get(name, 0.0)) / (count - before)
        speed = (windows - self._windows) / (now - self._since)
        self._totals, self._batches, self._windows, self._since = totals, batches, windows, now
        return found, speed
