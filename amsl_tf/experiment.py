"""One training on a transformed data set: the detector, and the scores of all three parts."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from amsl_tf.config import DetectorConfig
from amsl_tf.data.files import check_replaceable, read_json
from amsl_tf.data.store import GENERATED_ENTRIES, PARTS, SPLIT, TEST_ABNORMAL, TRAIN, open_views, open_windows
from amsl_tf.detector import AMSLDetector
from amsl_tf.errors import AMSLError, DataError
from amsl_tf.monitoring import PICTURED
from amsl_tf.results import write_results
from amsl_tf.saved import CONFIG, ENTRIES

_ADVICE = "Run scripts/transformation.py first, or name the folder that it wrote with --input."


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
    """Trains a detector on materialised views, scores all parts, writes both.

    The state of the training is kept beside the detector's folder until everything is written: the same call, made again after
    an interruption, goes on from there.

    Args:
        config: Of the detector; the data says which channels are the axes of one sensor, and their names.
        source: The folder that transformation wrote.
        detector: The folder to save the detector in.
        results: The folder to write the scores to.
        log_dir: For TensorBoard.
        checkpoint_seconds: At least so long between two states in an epoch.
        weights: Of a network that was trained elsewhere; nothing is trained then.

    Raises:
        AMSLError: The input is missing or broken, the folders to write to are in each other's way, or the training diverges.
    """
    detector = detector.resolve()
    # all before hours of training, not after
    check_replaceable(detector, ENTRIES)
    for folder in (results, log_dir):
        _check_place(folder.resolve(), detector)
    split = read_json(source / SPLIT, _ADVICE, ("protocol", "seed", "axes"))
    config = replace(config, axes=split.pop("axes"), channel_names=split.pop("channel_names", ()))
    parts = {part: open_windows(part.file(source, "raw"), part.index(source), _ADVICE) for part in PARTS}
    windows = parts[TRAIN]
    by_subject = split["protocol"] == "subject"
    if by_subject and windows.subject is None:
        raise DataError(f"{TRAIN.index(source)}: the protocol subject needs the column subject. {_ADVICE}")
    views = open_views(source, TRAIN, config.model.views, _ADVICE)
    for folder in (results, log_dir):
        folder.mkdir(parents=True, exist_ok=True)
    fitted = AMSLDetector(config).fit(
        windows,
        groups=windows.subject if by_subject else None,
        views=views,
        weights=weights,
        work_dir=detector.parent / f".{detector.name}.training",
        log_dir=log_dir,
        abnormal=_some(parts[TEST_ABNORMAL].x),
        checkpoint_seconds=checkpoint_seconds,
    )
    scored = {
        part: (of_part, fitted.training_scores_ if part is TRAIN else fitted.score_components(of_part))
        for part, of_part in parts.items()
    }
    run = {
        "input": str(source.resolve()),
        **split,
        "detector": str(detector),
        "fingerprint": fitted.data_["fingerprint"],
        "config": config.to_dict(),
        "versions": {name: sys.modules[name].__version__ for name in ("amsl_tf", "tensorflow", "keras", "numpy")},
    }
    write_results(results, run, scored)
    fitted.save(detector)
    fitted.discard_work()
    return fitted


def _some(windows: np.ndarray) -> np.ndarray:
    """As many windows as TensorBoard shows, from all over an array."""
    return windows[np.linspace(0, len(windows) - 1, PICTURED + 2).astype(int)[1:-1]]


def _check_place(folder: Path, detector: Path) -> None:
    """Refuses a folder for results or logs that would mix with the files of a detector or of a data set."""
    advice = "Name another folder."
    if folder == detector or detector in folder.parents:
        raise AMSLError(f"{folder}: lies in the folder of the detector, which holds nothing else. {advice}")
    for name in (CONFIG, SPLIT, *GENERATED_ENTRIES):
        if (folder / name).exists():
            raise AMSLError(f"{folder}: holds {name}, so it is the place of other files. {advice}")
    if next(folder.glob("data_*.npy"), None):
        raise AMSLError(f"{folder}: holds materialised views. {advice}")
