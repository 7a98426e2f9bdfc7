"""The folder of a saved detector, its formats and their migration. This module does not import TensorFlow."""

import hashlib
import json
import math
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import ZIP_STORED, ZipFile

import numpy as np

from amsl_tf._version import __version__
from amsl_tf.config import DetectorConfig, to_contamination
from amsl_tf.data.files import check_regular, read_json, write_json
from amsl_tf.errors import AMSLError

CONFIG, WEIGHTS, STATE, METRICS, DATA = ENTRIES = (
    "config.json",
    "weights.weights.h5",
    "state.npz",
    "metrics.json",
    "data.json",
)
FORMAT = 11
OLDEST = 7  # the oldest format that can be read
ADVICE = "Name the folder of a saved detector, or fit one (amsl fit, amsl train)."
PARTS = ("scaling", "health", "draws", "training", "training_scores", "examples")  # of the state, beside those of the scores
SCORE_PART = "score:"  # with the name of a score
RECORDINGS = "recordings"  # the key of the metadata of the training recordings, in the data summary

UNKNOWN_GROUPS = np.array([-1])  # in place of the groups of the training windows, where the format did not keep them

State = dict[str, dict[str, np.ndarray]]


class DetectorSummary(NamedTuple):
    """The contents of the JSON files of a saved detector.

    Attributes:
        config: The settings.
        metrics: `thresholds` by name of the score, and `history`, the values of each loss by epoch.
        data: `windows`, `steps`, `channels` and `sha256` of the training windows, `fingerprint` of the training run and, unless
            the version that saved it is very old, `precision`.
        files: The sha256 of the other files, by name; format 8 and older have only those with arrays.
        format: The format of the folder.
    """

    config: DetectorConfig
    metrics: dict[str, Any]
    data: dict[str, Any]
    files: dict[str, str]
    format: int

    @property
    def window_shape(self) -> tuple[int, int]:
        """(T, C) of the windows."""
        return self.data["steps"], self.data["channels"]

    def threshold(self, score: str) -> float:
        """Returns the threshold of a score. Raises AMSLError if there is none."""
        threshold = self.metrics["thresholds"].get(score)
        if threshold is None:
            raise AMSLError(f"{METRICS}: expected a threshold for {score}, found none. {ADVICE}")
        return float(threshold)


def expected_entries(folder: Path) -> list[str]:
    """Returns the files that a folder of a detector holds, for `check_replaceable`: without weights if it has none."""
    return [name for name in ENTRIES if name != WEIGHTS or os.path.lexists(folder / name)]


def write_summary(folder: Path, config: DetectorConfig, metrics: Mapping[str, Any], data: Mapping[str, Any]) -> None:
    """Writes the JSON files of a detector, with the hashes of all files; those with arrays must exist.

    Args:
        folder: The folder of the detector.
        config, metrics, data: The attributes of the summary.
    """
    write_json(folder / METRICS, metrics)
    write_json(folder / DATA, data)
    about = {
        "format": FORMAT,
        "amsl_tf": __version__,
        "files": {name: _hash_file(folder / name) for name in ENTRIES if name != CONFIG and (folder / name).exists()},
        "config": config.to_dict(),
    }
    write_json(folder / CONFIG, {**about, "sha256": _hash_values(about)})


def write_state(folder: Path, parts: Mapping[str, Mapping[str, Any]]) -> None:
    """Writes the arrays of the parts of a detector to one .npz file.

    Args:
        folder: The folder of the detector.
        parts: The state of each part, arrays of numbers by name; names of parts have no dot.

    Raises:
        AMSLError: An array does not hold finite numbers.
    """
    arrays: dict[str, Any] = {
        f"{part}.{name}": np.asarray(value) for part, state in parts.items() for name, value in state.items()
    }
    try:
        _check_finite(arrays)
    except ValueError as error:
        raise AMSLError(f"the state of a detector must be arrays of finite numbers. Received: {error}.") from error
    np.savez(folder / STATE, **arrays)


def read_state(folder: Path, summary: DetectorSummary) -> State:
    """Inverts `write_state`, with migration to the current format.

    Args:
        folder: The folder of the detector.
        summary: The result of `read_summary` for the folder.

    Returns:
        The state of each part, arrays by name; parts without arrays are missing.

    Raises:
        ValueError: A file has changed since it was saved, or its arrays are not those of this detector. The errors of NumPy for
            a broken file pass through.
    """
    has_network = summary.config.network is not None
    for name in (WEIGHTS, STATE) if has_network else (STATE,):
        check_regular(folder / name, "Save the detector again.")
        if _hash_file(folder / name) != summary.files.get(name):
            raise ValueError(f"{name} has changed since it was saved")
    _check_archive(folder / STATE)
    parts: State = {}
    with np.load(folder / STATE, allow_pickle=False) as stored:
        for key in stored.files:
            part, _, name = key.partition(".")
            parts.setdefault(part, {})[name] = stored[key]
    parts = _migrate_state_7(parts, summary.config) if summary.format == 7 else parts
    parts = _migrate_state_10(parts, summary.config) if summary.format == 10 else parts
    for part, arrays in parts.items():
        if part not in PARTS and not part.startswith(SCORE_PART):
            raise ValueError(f"{STATE} holds the unknown part {part}")
        _check_finite(arrays)
    shape = summary.window_shape
    shapes = [("examples", "windows", (-1, *shape))]
    if has_network:
        shapes.insert(0, ("scaling", "minimum", (len(summary.config.views), *shape)))
    for part, name, expected in shapes:
        found = parts[part][name].shape
        if len(found) != 3 or any(size not in (-1, own) for size, own in zip(expected, found, strict=True)):
            raise ValueError(f"{part}.{name}: expected the shape {expected}, found {found}")
    return parts


def read_summary(folder: Path) -> DetectorSummary:
    """Reads the JSON files of a saved detector, with migration to the current format.

    Args:
        folder: The folder of the detector.

    Returns:
        The settings, thresholds, history and origin of the detector.

    Raises:
        AMSLError: There is no detector, a file has changed since it was saved, the format is unknown, or a value is invalid.
    """
    about = read_json(folder / CONFIG, ADVICE, ("format", "config", "files"))
    number, files = about["format"], about["files"]
    if not isinstance(files, dict):
        raise AMSLError(f"{folder / CONFIG}: expected the hashes of the files, found {files!r}. {ADVICE}")
    if number not in range(OLDEST, FORMAT + 1):
        found = f"format {number!r}, of another version of amsl_tf"
        raise AMSLError(f"{folder / CONFIG}: expected a detector of format {OLDEST} to {FORMAT}, found {found}. {ADVICE}")
    metrics = read_json(folder / METRICS, ADVICE, ("thresholds", "history"))
    data = read_json(folder / DATA, ADVICE, ("windows", "steps", "channels", "sha256", "fingerprint"))
    changed = []
    if number > 8:  # older formats have no hashes of these
        changed = [name for name in (METRICS, DATA) if _hash_file(folder / name) != files.get(name)]
        if about.pop("sha256", None) != _hash_values(about):
            changed.insert(0, CONFIG)
    if changed:
        advice = "Load the detector, change it with its methods, and save it."
        raise AMSLError(f"{folder / changed[0]}: has changed since it was saved. {advice}")
    config = about["config"]
    try:
        config = _migrate_config_7(config) if number == 7 else config
        settings = DetectorConfig.from_dict(_migrate_config_9(config) if number < 10 else config)
    except (AMSLError, TypeError) as error:
        advice = "Register the parts of your own before loading, or name another detector."
        raise AMSLError(f"{folder / CONFIG}: {error} {advice}") from error
    _check_metrics(folder / METRICS, metrics, settings.scores)
    for name in ("windows", "steps", "channels"):
        if type(data[name]) is not int or data[name] < 1:
            raise AMSLError(f"{folder / DATA}: expected a number of {name}, found {data[name]!r}. {ADVICE}")
    return DetectorSummary(settings, metrics, data, files, number)


def folder_state(folder: Path) -> tuple[int, int] | None:
    """Returns what changes when a folder is replaced by another one of the same name; None if there is no folder."""
    try:
        info = folder.stat()
    except OSError:
        return None
    return info.st_ino, info.st_mtime_ns


def _check_metrics(file: Path, metrics: Mapping[str, Any], scores: Collection[str]) -> None:
    thresholds, history = metrics["thresholds"], metrics["history"]
    if not isinstance(history, dict) or not all(isinstance(values, list) for values in history.values()):
        raise AMSLError(f"{file}: expected lists of losses by name, found {history!r:.100}. {ADVICE}")
    if not isinstance(thresholds, dict):
        raise AMSLError(f"{file}: expected thresholds by name, found {thresholds!r:.100}. {ADVICE}")
    for name in scores:
        value = thresholds.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise AMSLError(f"{file}: expected a finite threshold for {name}, found {value!r:.100}. {ADVICE}")


def _check_finite(arrays: Mapping[str, np.ndarray]) -> None:
    for name, values in arrays.items():
        if values.dtype.kind not in "fiub" or not np.isfinite(values).all():
            raise ValueError(f"{name}, which holds values that are not finite numbers")


def _check_archive(file: Path) -> None:
    """Raises ValueError if the arrays of an .npz file need more memory than the file has bytes."""
    with ZipFile(file) as archive:
        members = archive.infolist()
        if sum(member.file_size for member in members) > file.stat().st_size:
            raise ValueError(f"{file.name} holds less than it declares")
        for member in members:
            if member.compress_type != ZIP_STORED or member.flag_bits & 1:  # compressed or encrypted
                raise ValueError(f"{member.filename} has another format than amsl_tf writes")
            with archive.open(member) as opened:
                if np.lib.format.read_magic(opened) != (1, 0):
                    raise ValueError(f"{member.filename} has another format than amsl_tf writes")
                shape, _, dtype = np.lib.format.read_array_header_1_0(opened)
                if math.prod(shape) * dtype.itemsize != member.file_size - opened.tell():
                    raise ValueError(f"{member.filename} has another size than it declares")


def _hash_file(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as opened:
        while part := opened.read(2**20):
            digest.update(part)
    return digest.hexdigest()


def _hash_values(values: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _migrate_config_7(config: Any) -> Any:
    """Converts settings of format 7: a percentile for the contamination, `model` for `network`, and always both scores."""
    if not isinstance(config, dict) or not {"model", "score", "percentile"} <= config.keys():
        return config  # broken, which from_dict reports
    config = dict(config)
    others = [name for name in ("nearest_normal", "reconstruction") if name != config["score"]]
    network, percentile = config.pop("model"), config.pop("percentile")
    return {**config, "network": network, "contamination": to_contamination(percentile), "extra_scores": others}


def _migrate_config_9(config: Any) -> Any:
    """Converts settings of format 9 and older, in which all networks had the filters of the paper."""
    if not isinstance(config, dict) or not isinstance(config.get("network"), dict):
        return config  # broken, which from_dict reports
    return {**config, "network": {"filters": 32, **config["network"]}}


def _migrate_state_7(parts: State, config: DetectorConfig) -> State:
    """Converts a state of format 7, which named random draws by their contents and the state of a score by the score alone."""
    draws = {"noise": "noise", "order": "permuted", "factor": "scaled"}
    bank, drawn = parts.pop("nearest_normal"), parts.pop("draw")
    shape = (len(config.views), -1)
    return {
        **parts,
        "draws": {draws[name]: values for name, values in drawn.items()},
        "training": {
            "usual_error": np.exp(bank["error.mean"]).reshape(shape),
            **({"groups": UNKNOWN_GROUPS} if bank["error.groups"].any() else {}),
        },
        f"{SCORE_PART}nearest_normal": bank,
    }


def _migrate_state_10(parts: State, config: DetectorConfig) -> State:
    """Converts a state of format 10, whose ensemble did not know which sensor a feature describes: all count alike."""
    ensemble = parts.get(f"{SCORE_PART}ensemble")
    if ensemble is not None:
        count = len(ensemble["channels.mean"])
        for name in config.members:
            ensemble[f"{name}.sensors"] = np.full(len(ensemble[f"{name}.mean"]), -1, np.int32)
            ensemble[f"{name}.usual"] = np.full(count, np.exp(2 * ensemble[f"{name}.offset"]) / count, np.float32)
    return parts
