"""The folder of a saved detector, its formats and their migration. This module does not import TensorFlow."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from amsl_tf.config import DetectorConfig, to_contamination
from amsl_tf.data.files import read_json
from amsl_tf.errors import AMSLError

CONFIG, WEIGHTS, STATE, METRICS, DATA = ENTRIES = (
    "config.json",
    "weights.weights.h5",
    "state.npz",
    "metrics.json",
    "data.json",
)
FORMAT = 8
OLDEST = 7  # the oldest format that can be read
ADVICE = "Name the folder of a saved detector, or train one (amsl train)."

UNKNOWN_GROUPS = np.array([-1])  # in place of the groups of the training windows, where the format did not keep them

State = dict[str, dict[str, np.ndarray]]


class DetectorSummary(NamedTuple):
    """The contents of the JSON files of a saved detector.

    Attributes:
        config: The settings.
        metrics: `thresholds` by name of the score, and `history`, the values of each loss by epoch.
        data: `windows`, `steps`, `channels` and `sha256` of the training windows, `fingerprint` of the training run and, unless
            the version that saved it is very old, `precision`.
        files: The sha256 of the files with arrays, by name.
        format: The format of the folder.
    """

    config: DetectorConfig
    metrics: dict[str, Any]
    data: dict[str, Any]
    files: dict[str, str]
    format: int

    def threshold(self, score: str) -> float:
        """Returns the threshold of a score. Raises AMSLError if there is none."""
        try:
            return float(self.metrics["thresholds"][score])
        except (KeyError, TypeError, ValueError) as error:
            raise AMSLError(f"{METRICS}: expected a threshold for {score}, found none. {ADVICE}") from error


def hash_files(folder: Path) -> dict[str, str]:
    """Returns the sha256 of the files with arrays of a saved detector, by name."""
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in (WEIGHTS, STATE)}


def write_state(folder: Path, parts: Mapping[str, Mapping[str, Any]]) -> None:
    """Writes the arrays of the parts of a detector to one .npz file.

    Args:
        folder: The folder of the detector.
        parts: The state of each part, arrays of numbers by name; names of parts have no dot.
    """
    arrays: dict[str, Any] = {
        f"{part}.{name}": np.asarray(value) for part, state in parts.items() for name, value in state.items()
    }
    np.savez(folder / STATE, **arrays)


def read_state(folder: Path, summary: DetectorSummary) -> State:
    """Inverts `write_state`, with migration to the current format.

    Args:
        folder: The folder of the detector.
        summary: The result of `read_summary` for the folder.

    Returns:
        The state of each part, arrays by name; parts without arrays are missing.

    Raises:
        ValueError: A file has changed since it was saved. The errors of NumPy for a broken file pass through.
    """
    damaged = [name for name, found in hash_files(folder).items() if found != summary.files.get(name)]
    if damaged:
        raise ValueError(f"{damaged[0]} has changed since it was saved")
    parts: State = {}
    with np.load(folder / STATE, allow_pickle=False) as stored:
        for key in stored.files:
            part, _, name = key.partition(".")
            parts.setdefault(part, {})[name] = stored[key]
    return _migrate_state_7(parts, summary.config) if summary.format == 7 else parts


def read_summary(folder: Path) -> DetectorSummary:
    """Reads the JSON files of a saved detector, with migration to the current format.

    Args:
        folder: The folder of the detector.

    Returns:
        The settings, thresholds, history and origin of the detector.

    Raises:
        AMSLError: There is no detector, it has an unknown format, or its settings are invalid.
    """
    values = read_json(folder / CONFIG, ADVICE, ("format", "config", "files"))
    metrics = read_json(folder / METRICS, ADVICE, ("thresholds", "history"))
    data = read_json(folder / DATA, ADVICE, ("windows", "steps", "channels", "sha256", "fingerprint"))
    number, config = values["format"], values["config"]
    if not isinstance(values["files"], dict):
        raise AMSLError(f"{folder / CONFIG}: expected the hashes of the files, found {values['files']!r}. {ADVICE}")
    if number not in range(OLDEST, FORMAT + 1):
        found = f"format {number!r}, of another version of amsl_tf"
        raise AMSLError(f"{folder / CONFIG}: expected a detector of format {OLDEST} to {FORMAT}, found {found}. {ADVICE}")
    try:
        settings = DetectorConfig.from_dict(_migrate_config_7(config) if number == 7 else config)
    except (AMSLError, TypeError) as error:
        advice = "Register the parts of your own before loading, or name another detector."
        raise AMSLError(f"{folder / CONFIG}: {error} {advice}") from error
    return DetectorSummary(settings, metrics, data, values["files"], number)


def _migrate_config_7(config: Any) -> Any:
    """Converts settings of format 7: a percentile for the contamination, `model` for `network`, and always both scores."""
    if not isinstance(config, dict) or not {"model", "score", "percentile"} <= config.keys():
        return config  # broken, which from_dict reports
    config = dict(config)
    others = [name for name in ("nearest_normal", "reconstruction") if name != config["score"]]
    network, percentile = config.pop("model"), config.pop("percentile")
    return {**config, "network": network, "contamination": to_contamination(percentile), "extra_scores": others}


def _migrate_state_7(parts: State, config: DetectorConfig) -> State:
    """Converts a state of format 7, which named random draws by their contents and the state of a score by the score alone."""
    draws = {"noise": "noise", "order": "permuted", "factor": "scaled"}
    bank, drawn = parts.pop("nearest_normal"), parts.pop("draw")
    shape = (len(config.network.views), -1)
    return {
        **parts,
        "draws": {draws[name]: values for name, values in drawn.items()},
        "training": {
            "usual_error": np.exp(bank["error.mean"]).reshape(shape),
            **({"groups": UNKNOWN_GROUPS} if bank["error.groups"].any() else {}),
        },
        "score:nearest_normal": bank,
    }
