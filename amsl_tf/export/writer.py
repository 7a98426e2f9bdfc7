"""Exports a fitted detector as a SavedModel for TF Serving: raw windows in, decisions out, without this package."""

import math
import os
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

from amsl_tf._version import __version__
from amsl_tf.data.files import check_local, reserve_space, resolve, temporary_folder, write_json
from amsl_tf.detector import AMSLDetector
from amsl_tf.errors import AMSLError
from amsl_tf.export.layout import ABOUT, WARMUP, number_of
from amsl_tf.export.saved_model import ExportedModel
from amsl_tf.runtime import tensorflow_runtime

GRAPH_BYTES = 2**24  # of the graphs of an export, at most; TensorFlow's message on a full disk is not for users
WARMUP_BATCHES = (1, 8, 32)  # the batch sizes of the warm-up requests of each signature


@tensorflow_runtime()
def export_detector(detector: AMSLDetector, folder: Path) -> Path:
    """Exports a detector as the next version of a served model.

    Args:
        detector: A fitted detector.
        folder: The folder of the model. It gets a folder with the next free number, which appears under that name once it is
            complete, so that a server that polls `folder` never sees a partial version.

    Returns:
        The folder of the version. It holds the SavedModel with the signatures `serving_default` (`windows`, float32 (B, T, C),
        to `score` float32, `is_anomaly` bool and `valid` bool, (B,) each, and `health` int32 (B, C)) and `explain` (to the
        fields of `Explanation`; not for a score of your own without `contributions`), warm-up requests made of normal training
        windows, and model.json with the settings and thresholds of the detector.

    Raises:
        AMSLError: `folder` is not a folder, holds files but no version of a model, or cannot be written.
        NotFittedError: The detector is not fitted.

    Example:
        >>> export_detector(detector, Path("saved_models/serving/amsl"))  # writes the version saved_models/serving/amsl/1
    """
    folder = check_local(folder)
    model = ExportedModel(detector)
    if folder.exists() and not folder.is_dir():
        raise AMSLError(f"{folder}: is not a folder. Name the folder of a served model, or a new one.")
    is_new = not folder.exists()
    entries = [] if is_new else [item.name for item in folder.iterdir() if not item.name.startswith(".")]
    if entries and all(number_of(name) is None for name in entries):
        fault = f"holds {min(entries)}, and no version of a model"
        raise AMSLError(f"{folder}: {fault}. Name the folder of a served model, or a new one.")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with temporary_folder(folder / "version") as temporary:
            new = temporary / "version"
            size = sum(math.prod(variable.shape) * variable.dtype.size for variable in model.variables)
            reserve_space(temporary, 2 * size + GRAPH_BYTES)
            # gradients of the export would be registered by every process that loads it, for good
            options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
            tf.saved_model.save(model, str(new), signatures=model.functions, options=options)
            write_warmup(new / WARMUP, resolve(folder).name, tuple(model.functions), detector.examples_)
            write_json(new / ABOUT, _about(detector))
            while True:
                taken = (number_of(item.name) for item in folder.iterdir())  # by a folder or anything else
                target = folder / str(max(filter(None, taken), default=0) + 1)
                try:
                    os.rename(new, target)
                except OSError:
                    if not target.exists():
                        raise
                    continue  # another export took the number
                return target
    except tf.errors.OpError as error:
        raise AMSLError(f"{folder}: cannot be written ({error.message}). Name another folder, or make room.") from error
    finally:
        if is_new and not any(folder.iterdir()):
            folder.rmdir()


def write_warmup(file: Path, model: str, signatures: tuple[str, ...], windows: np.ndarray) -> None:
    """Writes the requests that TF Serving runs before it serves a version: every signature with several batch sizes.

    Args:
        file: The TFRecord of PredictionLog to write.
        model: The name of the model in the requests; TF Serving replaces it.
        signatures: The names of the signatures.
        windows: (N, T, C), repeated as needed.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(file)) as writer:
        for signature in signatures:
            for count in WARMUP_BATCHES:
                entry = PredictionLog()
                request = entry.predict_log.request
                request.model_spec.name, request.model_spec.signature_name = model, signature
                batch = windows[np.arange(count) % len(windows)]
                request.inputs["windows"].CopyFrom(tf.make_tensor_proto(batch))
                writer.write(entry.SerializeToString())


def _about(detector: AMSLDetector) -> dict[str, Any]:
    steps, channels = detector.pipeline.shape
    return {
        "steps": steps,
        "channels": channels,
        "channel_names": detector.config_.channel_names or None,
        "score": detector.config_.score,
        "members": detector.members_,
        "threshold": detector.threshold_,
        "thresholds": detector.thresholds_,
        "history": detector.history_,
        "config": detector.config_.to_dict(),
        "data": detector.data_,
        "versions": {"amsl_tf": __version__, "tensorflow": tf.__version__, "keras": keras.__version__, "numpy": np.__version__},
    }
