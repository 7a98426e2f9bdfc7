"""From normal windows to a scaling and a trained network: the first half of what a detector learns."""

import logging
import math
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import keras
import numpy as np

from amsl_tf import progress
from amsl_tf.config import DetectorConfig
from amsl_tf.data import pipeline
from amsl_tf.data.files import locked
from amsl_tf.data.splits import validation_split
from amsl_tf.data.windows import check_views
from amsl_tf.errors import AMSLError
from amsl_tf.fingerprint import fingerprint, hash_windows
from amsl_tf.layers import MinMaxScaling
from amsl_tf.models import build_network
from amsl_tf.monitoring import PICTURED, Monitor, Watched
from amsl_tf.precision import device_name, training_policy
from amsl_tf.training import Batches, check_work_dir, train
from amsl_tf.transforms import draw_for_scoring, make_views

log = logging.getLogger(__name__)

WATCHED = 32  # windows held back that TensorBoard looks at after every epoch


class Fitted(NamedTuple):
    """What was learned.

    Attributes:
        network: With the weights of the best epoch, in the precision of training.
        scaling: Of the views.
        data: Number, shape and hash of the windows, the training's fingerprint and `precision`, its Keras dtype policy; that
            is None where nothing was trained.
        history: The value of each loss at each epoch by name, and of what was monitored; nothing where nothing was trained.
        held_back: Positions of the windows that were not trained on.
        work: Folder with the state of the training, if there is one.
        monitor: Of the training, to be finished when there are scores.
    """

    network: keras.Model
    scaling: MinMaxScaling
    data: dict[str, Any]
    history: dict[str, list[float]]
    held_back: np.ndarray
    work: Path | None
    monitor: Monitor | None


def fit_network(
    config: DetectorConfig,
    x: np.ndarray,
    groups: np.ndarray | None,
    *,
    views: Mapping[str, np.ndarray] | None,
    weights: Path | None,
    work_dir: str | Path | None,
    log_dir: str | Path | None,
    abnormal: np.ndarray | None,
    checkpoint_seconds: float,
) -> Fitted:
    """Fits scaling and network to windows (N, T, C); the arguments are those of `AMSLDetector.fit`, checked.

    Raises:
        AMSLError: Views or weights cannot be used, the training diverges, or its files cannot be written.
    """
    if work_dir is not None:
        check_work_dir(Path(work_dir))
    model, training = config.model, config.training
    shape = (x.shape[1], x.shape[2])
    trained_on, held_back = validation_split(len(x), training.validation_share, training.seed, groups)
    policy = training_policy(training.mixed_precision)
    source: pipeline.ViewSource = pipeline.RawWindows(x, model.views, training.seed)
    if views is not None:
        views = check_views(views, model.views, x.shape)
        source = pipeline.MaterialisedViews(views)
    network = build_network(model, shape, dtype=policy, seed=training.seed)
    if weights is not None:
        _load_weights(network, weights)
    data = {"windows": len(x), "steps": shape[0], "channels": shape[1], "sha256": hash_windows(x)}
    data["fingerprint"] = fingerprint(config, policy, data, groups, views, weights)
    data["precision"] = policy if weights is None else None

    scaling = MinMaxScaling()
    scaling.adapt(_shown(pipeline.view_batches(source, np.arange(len(x))), len(x)))
    if weights is not None:
        log.info(f"network from {weights}: nothing is trained")
        return Fitted(network, scaling, data, {}, held_back, None, None)
    log.info(
        f"training on {device_name()} in {policy}: {len(trained_on):,} windows ({len(held_back):,} more held back), "
        f"{network.count_params():,} parameters, {training.epochs} epochs"
    )
    common: dict[str, Any] = {"source": source, "scaling": scaling, "model": model, "batch_size": training.batch_size}
    batches = Batches(
        training=lambda epochs, skip: pipeline.training_batches(
            positions=trained_on, seed=training.seed, epochs=epochs, skip=skip, **common
        ),
        validation=pipeline.validation_batches(positions=held_back, **common),
        steps=math.ceil(len(trained_on) / training.batch_size),
        windows=len(trained_on),
    )
    monitor = None
    if log_dir is not None:
        some = held_back[np.linspace(0, len(held_back) - 1, min(WATCHED, len(held_back))).astype(int)]
        seen = (x[some], x[:0] if abnormal is None else abnormal[:PICTURED])
        draw = draw_for_scoring(training.seed, shape)
        watched = Watched(*(scaling(make_views(part, draw, model.views)).numpy() for part in seen))
        monitor = Monitor(Path(log_dir) / data["fingerprint"], network, config, watched, len(trained_on))
    with tempfile.TemporaryDirectory() if work_dir is None else nullcontext(work_dir) as folder:
        work = Path(folder) / data["fingerprint"]
        with locked(work):
            history = train(network, config, policy, batches, work, monitor=monitor, checkpoint_seconds=checkpoint_seconds)
    return Fitted(network, scaling, data, history, held_back, work, monitor)


def _shown(batches: Iterator[np.ndarray], count: int) -> Iterator[np.ndarray]:
    """The batches of so many windows, and how far they are."""
    with progress.bar(count, "fitting the scaling", "windows") as bar:
        for batch in batches:
            yield batch
            bar.update(len(batch))


def _load_weights(network: keras.Model, file: Path) -> None:
    """Reads weights that another process has trained. Raises AMSLError where there are none for this network."""
    if not file.is_file():
        raise AMSLError(f"{file}: not found. Name a file that the network's save_weights has written.")
    try:
        found, expected = _shapes(file), _own_shapes(network)
        for name in sorted(found.keys() | expected.keys()):  # Keras leaves what is too much unread
            if found.get(name) != expected.get(name):
                raise ValueError(f"{name}: expected {expected.get(name, 'nothing')}, found {found.get(name, 'nothing')}")
        network.load_weights(file)
    except (OSError, KeyError, ValueError, RuntimeError) as error:  # RuntimeError: h5py, of a damaged file
        raise AMSLError(
            f"{file}: not the weights of this network ({error}). Build it with the same settings, for windows of the same "
            "shape, with the same version of amsl_tf, and write them with save_weights to a file that ends in .weights.h5."
        ) from error


def _own_shapes(network: keras.Model) -> dict[str, tuple[int, ...]]:
    """The shapes of the arrays in a file of the network's weights, by name."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "own.weights.h5"
        network.save_weights(file)
        return _shapes(file)


def _shapes(file: Path) -> dict[str, tuple[int, ...]]:
    """The shapes of the arrays in an HDF5 file, by name."""
    shapes: dict[str, tuple[int, ...]] = {}

    def note(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            shapes[name] = item.shape

    with h5py.File(file) as stored:
        stored.visititems(note)
    return shapes
