"""Training: compile, callbacks, fit, and going on after an interruption."""

import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from amsl_tf import progress
from amsl_tf.config import DetectorConfig, TrainingConfig
from amsl_tf.data.files import atomic_file, read_json, write_json
from amsl_tf.errors import AMSLError
from amsl_tf.losses import losses_for, targets_for
from amsl_tf.monitoring import Monitor

log = logging.getLogger(__name__)

HISTORY, BEST = "history.json", "best.weights.h5"


@dataclass(frozen=True)
class Batches:
    """What a network is trained on.

    Attributes:
        training: (epochs, number of batches to skip) -> the dataset of these epochs, one after the other.
        validation: The dataset of held-back windows.
        steps: Batches in an epoch.
        windows: In an epoch.
    """

    training: Callable[[range, int], tf.data.Dataset]
    validation: tf.data.Dataset
    steps: int
    windows: int


def check_work_dir(folder: Path) -> None:
    """Raises AMSLError where the state of a training cannot be kept."""
    if set("[]") & set(str(folder.absolute())):  # TensorFlow takes them for a pattern and never finds the state again
        raise AMSLError(f"{folder}: the state of a training cannot be kept where a name has [ or ]. Choose another.")


def train(
    network: keras.Model,
    config: DetectorConfig,
    policy: str,
    batches: Batches,
    work_dir: Path,
    *,
    monitor: Monitor | None = None,
    checkpoint_seconds: float = 60.0,
) -> dict[str, list[float]]:
    """Trains a network, or goes on where it was interrupted, and leaves it with the weights of the best epoch.

    An interrupted training that is called again with the same arguments ends with the weights of one that was not: the folder
    holds weights, optimizer, loss scale, the state of dropout and forgetting and the place in the epoch, and the order of the
    windows depends on the seed and the epoch only.

    Args:
        network: As `build_network` makes it.
        config: Of the detector.
        policy: The dtype policy that the network was built with.
        batches: To train on.
        work_dir: Keeps the state of the training, `check_work_dir` permitting; the caller removes it when it is not needed any
            more.
        monitor: Writes TensorBoard's files.
        checkpoint_seconds: At least so long between two states that are kept in an epoch; the end of an epoch always keeps one.

    Returns:
        The value of every loss, and of what the monitor measured, at every epoch, by name. The training losses of an epoch
        that was interrupted are means over the steps after the interruption.

    Raises:
        AMSLError: A loss is not finite, or the state in `work_dir` is broken or cannot be written.
    """
    trained = compiled(network, config, policy)
    state = _State(
        trained,
        batches.steps,
        config.training.epochs,
        work_dir,
        checkpoint_seconds,
        lambda: monitor.measured if monitor else {},
    )
    epoch, step = state.restore()
    bar = _Bar(batches, config.training, step)
    callbacks: list[keras.callbacks.Callback] = [bar, state]
    if monitor is not None:
        monitor.begin(epoch * batches.steps + step)
        callbacks.insert(0, monitor)  # its files reach further than the state, never less far
    settings: dict[str, Any] = {
        "validation_data": batches.validation,
        "callbacks": callbacks,
        "shuffle": False,
        "verbose": 0,
    }
    last = config.training.epochs
    parts = [(range(epoch, last), 0)]
    if step:  # the rest of the epoch that was interrupted comes first
        parts = [(range(epoch, epoch + 1), step), (range(epoch + 1, last), 0)]
    with bar:
        for epochs, skip in filter(lambda part: part[0], parts):
            trained.fit(
                batches.training(epochs, skip),
                initial_epoch=epochs.start,
                epochs=epochs.stop,
                steps_per_epoch=batches.steps - skip,
                **settings,
            )
    trained.load_weights(work_dir / BEST)
    # what was not monitored from the start, but only since an interruption, would stand at the wrong epochs
    return {name: values for name, values in state.history.items() if len(values) == last}


def compiled(network: keras.Model, config: DetectorConfig, policy: str) -> keras.Model:
    """The part of a network that its objective needs, ready to be trained."""
    losses, weights = losses_for(config.model)
    trained = keras.Model(network.input, {name: network.output[name] for name in losses})
    optimizer = keras.optimizers.Adam(config.training.learning_rate)
    if policy == "mixed_float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    trained.compile(optimizer, loss=losses, loss_weights=weights)
    # all variables are made here: TensorFlow traces a first step that makes any a second time, which takes seconds
    optimizer.build(trained.trainable_variables)
    nothing = {name: np.zeros((1, *output.shape[1:]), output.dtype) for name, output in trained.output.items()}
    trained.compute_loss(y=targets_for(config.model, nothing["reconstruction"]), y_pred=nothing)
    trained.reset_metrics()
    return trained


class _State(keras.callbacks.Callback):
    """Keeps the state of a training in a folder: checkpoints, the history of the losses, the weights of the best epoch.

    Args:
        model: That is trained.
        steps: In an epoch.
        epochs: In all.
        folder: To keep the state in.
        seconds: At least so long between two states in an epoch.
        measured: Says at the end of an epoch what else belongs into the history.
    """

    def __init__(
        self,
        model: keras.Model,
        steps: int,
        epochs: int,
        folder: Path,
        seconds: float,
        measured: Callable[[], Mapping[str, float]],
    ) -> None:
        super().__init__()
        self.history: dict[str, list[float]] = {}
        self._steps, self._epochs, self._folder, self._seconds, self._measured = steps, epochs, folder, seconds, measured
        self._done = tf.Variable(0, dtype=tf.int64)  # steps since the training began
        # every variable of the model, the seeds of dropout and forgetting among them, and of the optimizer
        variables = [variable.value for variable in (*model.variables, *model.optimizer.variables)]
        self._checkpoint = tf.train.Checkpoint(done=self._done, variables=variables)
        self._manager = tf.train.CheckpointManager(self._checkpoint, str(folder), max_to_keep=2)
        self._saved_at = time.monotonic()

    def restore(self) -> tuple[int, int]:
        """Takes up the newest checkpoint, if there is one, and returns the epoch and the step in it to go on with."""
        newest = self._manager.latest_checkpoint
        if newest is None:
            return 0, 0
        advice = f"Remove {self._folder} to train from the start."
        try:
            self._checkpoint.restore(newest).assert_existing_objects_matched()
        except (tf.errors.OpError, AssertionError, ValueError) as error:
            raise AMSLError(f"{newest}: the state of the training cannot be read ({error}). {advice}") from error
        epoch, step = divmod(int(self._done), self._steps)
        if epoch:
            written = read_json(self._folder / HISTORY, advice)
            self.history = {name: values[:epoch] for name, values in written.items()}
        log.info(f"going on at epoch {epoch + 1}, step {step + 1} with the state in {self._folder}")
        return epoch, step

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._done.assign_add(1)
        in_epoch = int(self._done) % self._steps
        if in_epoch and time.monotonic() - self._saved_at >= self._seconds:
            self._save()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        for name, value in {**(logs or {}), **self._measured()}.items():
            if not math.isfinite(value):
                advice = "Lower the learning rate or turn mixed precision off."
                raise AMSLError(f"training diverged: {name} is {value} in epoch {epoch + 1}. {advice}")
            self.history.setdefault(name, []).append(float(value))
        said = ", ".join(f"{name} {self.history[name][-1]:.4g}" for name in ("loss", "val_loss"))
        log.info(f"epoch {epoch + 1}/{self._epochs}: {said}")
        if min(self.history["val_loss"]) == self.history["val_loss"][-1]:
            with atomic_file(self._folder / BEST) as temporary:
                self.model.save_weights(temporary)
        write_json(self._folder / HISTORY, self.history)
        self._save()  # last: what it is read with is there before it

    def _save(self) -> None:
        try:
            self._manager.save()
        except tf.errors.OpError as error:
            raise AMSLError(f"{self._folder}: the state of the training cannot be written ({error}).") from error
        self._saved_at = time.monotonic()


class _Bar(keras.callbacks.Callback):
    """Shows how far an epoch is, in windows. A context manager, which leaves no bar behind."""

    def __init__(self, batches: Batches, config: TrainingConfig, step: int) -> None:
        super().__init__()
        self._windows, self._batch, self._epochs, self._first = batches.windows, config.batch_size, config.epochs, step
        self._bar: Any = None

    def __enter__(self) -> "_Bar":
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        what = f"epoch {epoch + 1}/{self._epochs}"
        self._bar = progress.bar(self._windows, what, "windows", done=self._first * self._batch)
        self._first = 0

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self._bar.set_postfix_str(f"loss {(logs or {}).get('loss', math.nan):.4g}", refresh=False)
        self._bar.update(min(self._batch, self._windows - self._bar.n))

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._bar.close()
