"""The folder of a saved detector: its files, and what can be read of them without TensorFlow."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from amsl_tf.config import DetectorConfig
from amsl_tf.data.files import read_json
from amsl_tf.errors import AMSLError

CONFIG, WEIGHTS, STATE, METRICS, DATA = ENTRIES = (
    "config.json",
    "weights.weights.h5",
    "state.npz",
    "metrics.json",
    "data.json",
)
FORMAT = 7
ADVICE = "Name the folder of a saved detector, or train one (scripts/train.py)."


class Summary(NamedTuple):
    """What the JSON files of a saved detector say.

    Attributes:
        config: Its settings.
        metrics: `thresholds`, by name of the score, and `history`, the value of each loss at each epoch.
        data: `windows`, `steps`, `channels` and `sha256` of the training windows, and of the training the `fingerprint` and,
            but for detectors of older versions, the `precision`.
        files: The sha256 of the files with arrays, by name.
    """

    config: DetectorConfig
    metrics: dict[str, Any]
    data: dict[str, Any]
    files: dict[str, str]

    def threshold(self, score: str) -> float:
        """The threshold of a score. Raises AMSLError if there is none."""
        try:
            return float(self.metrics["thresholds"][score])
        except (KeyError, TypeError, ValueError) as error:
            raise AMSLError(f"{METRICS}: expected a threshold for {score}, found none. {ADVICE}") from error


def hash_files(folder: Path) -> dict[str, str]:
    """The sha256 of a detector's files with arrays, by name."""
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in (WEIGHTS, STATE)}


def write_state(folder: Path, parts: Mapping[str, Mapping[str, Any]]) -> None:
    """Writes the arrays of a detector's parts, each by the names that the part gives them."""
    arrays: dict[str, Any] = {
        f"{part}.{name}": np.asarray(value) for part, state in parts.items() for name, value in state.items()
    }
    np.savez(folder / STATE, **arrays)


def read_state(folder: Path, summary: Summary) -> dict[str, dict[str, np.ndarray]]:
    """The inverse of `write_state`; a part without arrays is not there.

    Raises:
        ValueError: A file is not the one that was saved. What NumPy raises for a broken file comes through.
    """
    damaged = [name for name, found in hash_files(folder).items() if found != summary.files.get(name)]
    if damaged:
        raise ValueError(f"{damaged[0]} is not the file that was saved")
    parts: dict[str, dict[str, np.ndarray]] = {}
    with np.load(folder / STATE, allow_pickle=False) as stored:
        for key in stored.files:
            part, _, name = key.partition(".")
            parts.setdefault(part, {})[name] = stored[key]
    return parts


def read_summary(folder: Path) -> Summary:
    """Reads the JSON files of a saved detector.

    Raises:
        AMSLError: There is none, or it is of another format.
    """
    values = read_json(folder / CONFIG, ADVICE, ("format", "config", "files"))
    if values["format"] != FORMAT:
        found = f"{values['format']}, of another version of amsl_tf"
        raise AMSLError(f"{folder / CONFIG}: expected a detector of format {FORMAT}, found {found}. {ADVICE}")
    return Summary(
        DetectorConfig.from_dict(values["config"]),
        read_json(folder / METRICS, ADVICE, ("thresholds", "history")),
        read_json(folder / DATA, ADVICE, ("windows", "steps", "channels", "sha256", "fingerprint")),
        values["files"],
    )
