"""The training loop: compilation, callbacks, Keras' `fit`, and resuming after an interruption."""

import json
import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf

from amsl_tf import progress
from amsl_tf.config import DetectorConfig, TrainingConfig
from amsl_tf.data.files import atomic_file, read_json, reserve_space, write_json
from amsl_tf.errors import AMSLError, StorageError
from amsl_tf.networks.losses import losses_for, targets_for
from amsl_tf.networks.weights import OVERHEAD, read_weights, write_weights
from amsl_tf.training import distributed
from amsl_tf.training.distribution import is_chief, is_multi_worker, share, share_variables

if TYPE_CHECKING:
    from amsl_tf.training.monitoring import Monitor

log = logging.getLogger(__name__)

HISTORY, BEST = "history.json", "best.weights.h5"


@dataclass(frozen=True)
class Batches:
    """The datasets of a training run.

    Attributes:
        training: (epochs, number of batches to skip) -> the dataset of these epochs, one after the other; with weights of the
            windows for several devices.
        validation: The dataset of validation windows.
        steps: The number of batches in an epoch.
        windows: The number of windows in an epoch.
    """

    training: Callable[[range, int], tf.data.Dataset]
    validation: tf.data.Dataset
    steps: int
    windows: int


def train(
    network: keras.Model,
    config: DetectorConfig,
    policy: str,
    batches: Batches,
    work_dir: Path,
    *,
    monitor: "Monitor | None" = None,
    checkpoint_seconds: float = 60.0,
    strategy: tf.distribute.Strategy | None = None,
) -> dict[str, list[float]]:
    """Trains a network, or resumes its training, and loads the weights of the best epoch.

    A training run that is interrupted and started again with the same arguments ends with the same weights as an uninterrupted
    one: the folder holds weights, optimizer, loss scale, the random state of dropout and forgetting and the position in the
    epoch, and the order of the windows depends on the seed and the epoch only.

    Args:
        network: A network of `build_network`.
        config: The settings of the detector.
        policy: The dtype policy that the network was built with.
        batches: The datasets.
        work_dir: The folder for the state of the training run; the caller removes it. Of several workers each has its own;
            all start from the state in that of the chief, and end with the same weights.
        monitor: The callback that writes TensorBoard's files, or None.
        checkpoint_seconds: The minimum time between two saved states within an epoch, in seconds; the end of an epoch always
            saves one.
        strategy: The strategy in whose scope the network was built, by default the active one.

    Returns:
        The values of every loss and of the measurements of the monitor by epoch. The training losses of an interrupted epoch
        are means over the steps after the interruption.

    Raises:
        AMSLError: A loss is not finite, or the state in `work_dir` is broken or cannot be written.
    """
    strategy = strategy or tf.distribute.get_strategy()
    with strategy.scope():
        trained = compile_network(network, config, policy)
        state = _State(
            trained,
            batches.steps,
            config.training.epochs,
            work_dir,
            checkpoint_seconds,
            lambda: monitor.measured if monitor else {},
        )
    epoch, step = state.restore()
    fit: Any = trained.fit
    settings: dict[str, Any] = {"validation_data": batches.validation}
    if is_multi_worker(strategy):
        assert config.network is not None
        fit = partial(distributed.fit, trained, config.network, strategy=strategy)
    else:
        settings |= {"shuffle": False, "verbose": 0}
    bar = _Bar(batches, config.training, step)
    callbacks: list[keras.callbacks.Callback] = [bar, state]
    if monitor is not None:
        monitor.begin(epoch * batches.steps + step)
        callbacks.insert(0, monitor)  # before the state: its files may be ahead of the state, never behind
    last = config.training.epochs
    parts = [(range(epoch, last), 0)]
    if step:  # the rest of the interrupted epoch comes first
        parts = [(range(epoch, epoch + 1), step), (range(epoch + 1, last), 0)]
    with bar:
        for epochs, skip in filter(lambda part: part[0], parts):
            fit(
                batches.training(epochs, skip),
                initial_epoch=epochs.start,
                epochs=epochs.stop,
                steps_per_epoch=batches.steps - skip,
                callbacks=callbacks,
                **settings,
            )
    state.restore_best()
    # a quantity monitored only since an interruption would be assigned to the wrong epochs
    return {name: values for name, values in state.history.items() if len(values) == last}


def compile_network(network: keras.Model, config: DetectorConfig, policy: str) -> keras.Model:
    """Compiles the part of a network that its objective needs, with Adam.

    Args:
        network: A network of `build_network`.
        config: The settings of the detector.
        policy: The dtype policy that the network was built with; `mixed_float16` adds loss scaling.

    Returns:
        A model that shares the layers of the network, whose outputs are those with a loss; all its variables exist.

    Raises:
        AMSLError: float16 is to be trained on several devices.
    """
    assert config.network is not None
    losses, weights = losses_for(config.network)
    trained = keras.Model(network.input, {name: network.output[name] for name in losses})
    optimizer = _Adam(config.training.learning_rate, name="adam")
    if policy == "mixed_float16":
        if tf.distribute.get_strategy().num_replicas_in_sync > 1:  # loss scaling looks at the gradients of one replica alone
            raise AMSLError("several devices train in float32 or bfloat16. Received: float16. Set mixed_precision to off.")
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    trained.compile(optimizer, loss=losses, loss_weights=weights)
    # create all variables here: a first step that creates variables is traced twice, which takes seconds
    optimizer.build(trained.trainable_variables)
    if is_multi_worker(tf.distribute.get_strategy()):
        return trained  # its losses are computed without those of Keras
    zeros = {name: np.zeros((1, *output.shape[1:]), output.dtype) for name, output in trained.output.items()}
    trained.compute_loss(y=targets_for(config.network, zeros["reconstruction"]), y_pred=zeros)
    trained.reset_metrics()
    return trained


class _Adam(keras.optimizers.Adam):
    """Adam without the leak of memory of Keras' optimizers.

    Keras sums gradients over replicas even where there is only one, and TensorFlow then keeps the graph of the training step
    for the rest of the process, some 20 MB for each training run.
    """

    def _all_reduce_sum_gradients(self, grads_and_vars: Any) -> Any:
        if tf.distribute.get_strategy().num_replicas_in_sync == 1:
            return grads_and_vars
        return super()._all_reduce_sum_gradients(grads_and_vars)


class _State(keras.callbacks.Callback):
    """A callback that saves the state of a training run: checkpoints, the history of the losses, the weights of the best epoch.

    Args:
        model: The model that is trained.
        steps: The number of steps in an epoch.
        epochs: The number of epochs.
        folder: The folder for the state. Of several workers each saves its own, and that of the chief is read.
        seconds: The minimum time between two checkpoints within an epoch, in seconds.
        measured: Returns further values for the history at the end of an epoch.
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
        self._done = tf.Variable(0, dtype=tf.int64)  # steps since the start of the training run
        # all variables of the model, including the random state of dropout and forgetting, and of the optimizer
        self._variables = [variable.value for variable in (*model.variables, *model.optimizer.variables)]
        self._size = sum(math.prod(variable.shape) * variable.dtype.size for variable in self._variables) + OVERHEAD
        self._checkpoint = tf.train.Checkpoint(done=self._done, variables=self._variables)
        self._manager = tf.train.CheckpointManager(self._checkpoint, str(folder), max_to_keep=2)
        self._saved_at = time.monotonic()
        self._trained, self._strategy = model, tf.distribute.get_strategy()
        self._is_chief = is_chief(self._strategy)

    def restore(self) -> tuple[int, int]:
        """Restores the newest checkpoint, if any, and returns the epoch and the step in it to resume from.

        Of several workers all get the state of the chief.
        """
        if (newest := self._manager.latest_checkpoint) is not None:
            self._read(newest)
        share_variables(self._strategy, [self._done, *self._variables])
        self.history = json.loads(share(self._strategy, json.dumps(self.history).encode()))
        return divmod(self._steps_done(), self._steps)

    def restore_best(self) -> None:
        """Reads the weights of the best epoch. Of several workers all get the weights and the history of the chief."""
        if self._is_chief:
            best, advice = self._folder / BEST, f"Remove {self._folder} to train from the start."
            try:
                read_weights(self._trained, best)
            except StorageError:
                raise
            except ValueError as error:
                raise AMSLError(f"{best}: the best weights cannot be read ({error}). {advice}") from error
        share_variables(self._strategy, self._variables)
        self.history = json.loads(share(self._strategy, json.dumps(self.history).encode()))

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._done.assign_add(1)
        in_epoch = self._steps_done() % self._steps
        if in_epoch and time.monotonic() - self._saved_at >= self._seconds:
            self._save()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        for name, value in {**(logs or {}), **self._measured()}.items():
            if not math.isfinite(value):
                advice = "Lower the learning rate or turn off mixed precision."
                raise AMSLError(f"training diverged: {name} is {value} in epoch {epoch + 1}. {advice}")
            self.history.setdefault(name, []).append(float(value))
        if self._is_chief:
            losses = ", ".join(f"{name} {self.history[name][-1]:.4g}" for name in ("loss", "val_loss"))
            log.info(f"epoch {epoch + 1}/{self._epochs}: {losses}")
        if min(self.history["val_loss"]) == self.history["val_loss"][-1]:
            with atomic_file(self._folder / BEST) as temporary:
                write_weights(self.model, temporary)
        write_json(self._folder / HISTORY, self.history)
        self._save()  # last, because a checkpoint is read together with the other files

    def _steps_done(self) -> int:
        return int(self._done.numpy())  # `int` refuses the variables of a strategy

    def _read(self, checkpoint: str) -> None:
        """Reads a checkpoint and the history of its epochs."""
        advice = f"Remove {self._folder} to train from the start."
        try:
            self._checkpoint.restore(checkpoint).assert_existing_objects_matched()
        except (tf.errors.OpError, AssertionError, ValueError) as error:
            raise AMSLError(f"{checkpoint}: the state of the training cannot be read ({error}). {advice}") from error
        epoch, step = divmod(self._steps_done(), self._steps)
        if epoch:
            written = read_json(self._folder / HISTORY, advice)
            self.history = {name: values[:epoch] for name, values in written.items()}
        log.info(f"resuming at epoch {epoch + 1}, step {step + 1} from the state in {self._folder}")

    def _save(self) -> None:
        try:
            reserve_space(self._folder, self._size)
            self._manager.save()
        except (OSError, tf.errors.OpError) as error:
            reason = getattr(error, "strerror", None) or error
            advice = "Make room; the same call resumes from the last state."
            raise AMSLError(f"{self._folder}: the state of the training cannot be written ({reason}). {advice}") from error
        self._saved_at = time.monotonic()


class _Bar(keras.callbacks.Callback):
    """A progress bar for each epoch, in windows. A context manager, which removes the bar."""

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
