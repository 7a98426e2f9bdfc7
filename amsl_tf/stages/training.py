"""The third stage: trains a detector on materialised views and scores all parts."""

import logging
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from amsl_tf.config import DetectorConfig
from amsl_tf.data.files import check_replaceable, locked, read_json, resolve
from amsl_tf.data.store import GENERATED_ENTRIES, PARTS, SPLIT, TEST_ABNORMAL, TRAIN, open_windows
from amsl_tf.detector import AMSLDetector
from amsl_tf.errors import AMSLError, DataError
from amsl_tf.evaluation.results import write_results
from amsl_tf.persistence import CONFIG, expected_entries
from amsl_tf.scoring import SCORES
from amsl_tf.training.distribution import read_cluster
from amsl_tf.training.monitoring import PICTURED
from amsl_tf.views.files import open_views

log = logging.getLogger(__name__)

_ADVICE = "Run amsl transform first, or name the folder that it wrote with --input."


def train_detector(
    config: DetectorConfig,
    *,
    source: Path,
    detector: Path,
    results: Path,
    log_dir: Path,
    checkpoint_seconds: float,
    weights: Path | None = None,
) -> AMSLDetector:
    """Trains a detector on materialised views, scores all parts, and writes detector and scores.

    The state of the training run is kept beside the folder of the detector until everything is written: after an interruption
    the same call resumes from it. Of several workers (`TF_CONFIG`) the chief alone writes.

    Args:
        config: The settings of the detector. Axes and names of channels are replaced by those of the data, and all other scores
            that it can have are fitted as extra scores, so that the evaluation shows them.
        source: The folder that transformation wrote.
        detector: The folder to save the detector in.
        results: The folder to write the scores to.
        log_dir: The folder for TensorBoard.
        checkpoint_seconds: The minimum time between two saved states within an epoch, in seconds.
        weights: The weights of a network trained elsewhere; nothing is trained then.

    Returns:
        The fitted detector, as it was saved, or as the chief saves it.

    Raises:
        AMSLError: The input is missing or broken, the output folders overlap or are in use, or the training loss diverges.
    """
    detector = resolve(detector)
    # everything is checked before hours of training
    check_replaceable(detector, expected_entries(detector))
    for folder in (results, log_dir):
        _check_place(resolve(folder), detector)
    split = read_json(source / SPLIT, _ADVICE, ("protocol", "seed", "axes"))
    config = replace(
        config,
        axes=split.pop("axes"),
        channel_names=split.pop("channel_names", ()),
        extra_scores=tuple(
            name for name in SCORES if name != config.score and not (config.network is None and SCORES[name].needs_network)
        ),
    )
    parts = {
        part: open_windows(part.file(source, "raw"), part.index(source), _ADVICE)
        for part in PARTS
        if part is not TEST_ABNORMAL or (source / part.folder).exists()
    }
    windows = parts[TRAIN]
    by_subject = split["protocol"] == "subject"
    if by_subject and windows.subject is None:
        raise DataError(f"{TRAIN.index(source)}: the protocol subject needs the column subject. {_ADVICE}")
    training: dict[str, Any] = {"weights": weights}
    work_dir = detector.with_name(f".{detector.name}.training")
    if config.network is not None:
        training |= {
            "views": open_views(source, TRAIN, config.views, _ADVICE),
            "work_dir": work_dir,
            "log_dir": log_dir,
            "abnormal": _sample(parts[TEST_ABNORMAL].x) if TEST_ABNORMAL in parts else None,
            "checkpoint_seconds": checkpoint_seconds,
        }

    def fit() -> AMSLDetector:
        return AMSLDetector.from_config(config).fit(windows, groups=windows.subject if by_subject else None, **training)

    if not read_cluster().is_chief:
        return fit()
    with locked(work_dir), locked(results):  # a run with other settings would replace one of the outputs of this one
        fitted = fit()
        scored = {
            part: (of_part, fitted.training_scores_ if part is TRAIN else fitted.score_components(of_part))
            for part, of_part in parts.items()
        }
        run = {
            "input": str(resolve(source)),
            **split,
            "detector": str(detector),
            "fingerprint": fitted.data_["fingerprint"],
            "config": config.to_dict(),
            "versions": {name: sys.modules[name].__version__ for name in ("amsl_tf", "tensorflow", "keras", "numpy")},
        }
        write_results(results, run, scored)
        fitted.save(detector)
        fitted.discard_work()
        if other := [item.name for item in work_dir.iterdir() if item.is_dir()]:
            log.info(
                f"{work_dir}: states of interrupted training runs with other settings: {len(other)}. Remove them to free space."
            )
    return fitted


def _sample(windows: np.ndarray) -> np.ndarray:
    """Returns evenly spaced windows of an array, as many as TensorBoard shows."""
    return windows[np.linspace(0, len(windows) - 1, PICTURED + 2).astype(int)[1:-1]]


def _check_place(folder: Path, detector: Path) -> None:
    """Raises AMSLError if a folder for results or logs lies among the files of a detector or of a data set."""
    advice = "Name another folder."
    if folder.exists() and not folder.is_dir():
        raise AMSLError(f"{folder}: is not a folder. {advice}")
    if folder == detector or detector in folder.parents:
        raise AMSLError(f"{folder}: lies in the folder of the detector. {advice}")
    for name in (CONFIG, SPLIT, *GENERATED_ENTRIES):
        if (folder / name).exists():
            raise AMSLError(f"{folder}: holds {name}, a file of another stage. {advice}")
    if next(folder.glob("data_*.npy"), None):
        raise AMSLError(f"{folder}: holds materialised views. {advice}")
