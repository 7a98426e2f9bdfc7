"""Fits the scaling and trains the network on normal windows."""

import logging
import math
import tempfile
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from amsl_tf import progress
from amsl_tf.checks import check_number
from amsl_tf.config import DetectorConfig
from amsl_tf.data.files import check_regular, locked
from amsl_tf.data.splits import validation_split
from amsl_tf.data.windows import hash_windows
from amsl_tf.errors import AMSLError, StorageError
from amsl_tf.networks import build_network
from amsl_tf.networks.layers import MinMaxScaling
from amsl_tf.networks.weights import read_weights
from amsl_tf.training.batches import split_replicas, training_batches, validation_batches
from amsl_tf.training.distribution import check_agreement, is_chief, is_multi_worker, lost_workers, make_strategy
from amsl_tf.training.fingerprint import fingerprint
from amsl_tf.training.inputs import FitInput, check_folders
from amsl_tf.training.loop import Batches, train
from amsl_tf.training.precision import device_name, training_policy
from amsl_tf.views.operations import check_transforms, draw_for_scoring, make_views
from amsl_tf.views.sources import MaterialisedViews, RawWindows, ViewSource, view_batches

if TYPE_CHECKING:
    from amsl_tf.training.monitoring import Monitor

log = logging.getLogger(__name__)

MONITORED = 32  # validation windows that TensorBoard evaluates after every epoch


class FitResult(NamedTuple):
    """The result of `fit_network`.

    Attributes:
        network: The network with the weights of the best epoch, in the precision of training; None without a network.
        scaling: The fitted scaling of the views; None without a network.
        data: The number, shape and hash of the windows, the fingerprint of the training run and `precision`, its Keras dtype
            policy, which is None if nothing was trained.
        history: The values of each loss and of each monitored quantity by epoch; empty if nothing was trained.
        validation: The positions of the validation windows.
        work: The folder with the state of the training run, if any.
        monitor: The monitor of the training run, to be finished with the scores, if any.
    """

    network: keras.Model | None
    scaling: MinMaxScaling | None
    data: dict[str, Any]
    history: dict[str, list[float]]
    validation: np.ndarray
    work: Path | None
    monitor: "Monitor | None"


def fit_network(
    config: DetectorConfig,
    data: FitInput,
    *,
    weights: Path | None,
    work_dir: str | Path | None,
    log_dir: str | Path | None,
    checkpoint_seconds: float,
) -> FitResult:
    """Fits scaling and network to normal windows.

    Args:
        config: The settings of the detector.
        data: The validated input.
        weights: A file with the weights of a network trained elsewhere, with which only the scaling is fitted; else None.
        work_dir: A folder for the state of the training run, from which the same call resumes after an interruption; a
            temporary folder if None.
        log_dir: A folder for TensorBoard; nothing is monitored if None.
        checkpoint_seconds: The minimum time between two saved states within an epoch, in seconds.

    Returns:
        The network, the scaling, and the origin and history of the training run.

    Raises:
        AMSLError: The active strategy or `TF_CONFIG` is not supported, weights or folders cannot be used, the training loss
            diverges, its files cannot be written, or another worker stops.
    """
    check_folders(work_dir, log_dir)
    check_number("checkpoint_seconds", checkpoint_seconds, 0, math.inf)
    strategy = make_strategy(trains=config.network is not None and weights is None)  # before TensorFlow computes anything
    with lost_workers(strategy):
        return _fit(strategy, config, data, weights, work_dir, log_dir, checkpoint_seconds)


def _fit(
    strategy: tf.distribute.Strategy,
    config: DetectorConfig,
    data: FitInput,
    weights: Path | None,
    work_dir: str | Path | None,
    log_dir: str | Path | None,
    checkpoint_seconds: float,
) -> FitResult:
    """Fits scaling and network with a strategy; see `fit_network`."""
    model, training = config.network, config.training
    x, groups, views = data.x, data.groups, data.views
    shape = (x.shape[1], x.shape[2])
    about: dict[str, Any] = {"windows": len(x), "steps": shape[0], "channels": shape[1], "sha256": hash_windows(x)}
    if model is None:
        given = {"weights": weights, "work_dir": work_dir, "log_dir": log_dir, "views": views, "abnormal": data.abnormal}
        if unused := [name for name, value in given.items() if value is not None]:
            raise AMSLError(f"nothing is trained without a network. Received: network=None and {unused[0]}. Leave it out.")
        about |= {"fingerprint": fingerprint(config, "none", about, groups, None, None), "precision": None}
        return FitResult(None, None, about, {}, np.arange(0), None, None)
    check_transforms(x[:2], training.seed, model.views)
    trained_on, validation = validation_split(len(x), training.validation_share, training.seed, groups)
    policy = training_policy(training.mixed_precision)
    source: ViewSource = RawWindows(x, model.views, training.seed)
    if views is not None:
        source = MaterialisedViews(views)
    replicas = strategy.num_replicas_in_sync if weights is None else 1
    if weights is not None:
        check_regular(weights, "Name a file that the network's save_weights has written.")
    about["fingerprint"] = fingerprint(config, policy, about, groups, views, weights, replicas)
    # before the workers build different networks, which would fail without a reason
    check_agreement(strategy, about["fingerprint"])
    with strategy.scope():
        network = build_network(model, shape, dtype=policy, seed=training.seed)
    if weights is not None:
        _load_weights(network, weights)
    about["precision"] = policy if weights is None else None

    scaling = MinMaxScaling()
    scaling.adapt(_with_progress(view_batches(source, np.arange(len(x))), len(x)))
    if weights is not None:
        log.info(f"weights read from {weights}, no training")
        return FitResult(network, scaling, about, {}, validation, None, None)
    devices = device_name() if replicas == 1 else f"{replicas} devices, here {device_name()},"
    log.info(
        f"training on {devices} in {policy}: {len(trained_on):,} windows ({len(validation):,} more for validation), "
        f"{network.count_params():,} parameters, {training.epochs} epochs"
    )
    common: dict[str, Any] = {"source": source, "scaling": scaling, "network": model, "batch_size": training.batch_size}
    batches = Batches(
        training=lambda epochs, skip: _distribute(
            strategy, training_batches, positions=trained_on, seed=training.seed, epochs=epochs, skip=skip, **common
        ),
        validation=_distribute(strategy, validation_batches, positions=validation, **common),
        steps=math.ceil(len(trained_on) / training.batch_size),
        windows=len(trained_on),
    )
    monitor = None
    if log_dir is not None and is_chief(strategy):
        from amsl_tf.training.monitoring import PICTURED, Monitor, MonitorBatch  # TensorBoard and Matplotlib

        subset = validation[np.linspace(0, len(validation) - 1, min(MONITORED, len(validation))).astype(int)]
        shown = (x[subset], x[:0] if data.abnormal is None else data.abnormal[:PICTURED])
        draws = draw_for_scoring(training.seed, shape, model.views)
        batch = MonitorBatch(*(scaling(make_views(part, draws, model.views)).numpy() for part in shown))
        monitor = Monitor(Path(log_dir) / about["fingerprint"], network, config, batch, len(trained_on))
    if not is_chief(strategy):
        work_dir = None  # all resume from the state of the chief
    with tempfile.TemporaryDirectory() if work_dir is None else nullcontext(work_dir) as folder:
        work = Path(folder).resolve() / about["fingerprint"]  # `discard_work` may be called from another folder
        with locked(work):
            options: dict[str, Any] = {"monitor": monitor, "checkpoint_seconds": checkpoint_seconds, "strategy": strategy}
            history = train(network, config, policy, batches, work, **options)
    return FitResult(network, scaling, about, history, validation, work, monitor)


def _distribute(strategy: tf.distribute.Strategy, build: Callable[..., tf.data.Dataset], **settings: Any) -> Any:
    """Builds a dataset for the replicas of a strategy."""
    replicas = strategy.num_replicas_in_sync
    if is_multi_worker(strategy):
        return strategy.distribute_datasets_from_function(
            lambda part: split_replicas(build(part=part, **settings), replicas // part.num_input_pipelines)
        )
    # Keras' `fit` splits the batches itself
    return build(**settings, part=tf.distribute.InputContext(num_replicas_in_sync=replicas) if replicas > 1 else None)


def _with_progress(batches: Iterator[np.ndarray], count: int) -> Iterator[np.ndarray]:
    """Yields batches of `count` windows with a progress bar."""
    with progress.bar(count, "fitting the scaling", "windows") as bar:
        for batch in batches:
            yield batch
            bar.update(len(batch))


def _load_weights(network: keras.Model, file: Path) -> None:
    """Reads weights trained by another process. Raises AMSLError if they are not those of this network."""
    try:
        read_weights(network, file)
    except StorageError:
        raise
    except (OSError, ValueError) as error:
        raise AMSLError(
            f"{file}: not the weights of this network ({error}). Build it with the same settings, for windows of the same "
            "shape, with the same version of amsl_tf, and write them with save_weights to a file that ends in .weights.h5."
        ) from error
