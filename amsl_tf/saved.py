"""The folder of a saved detector: its files, and what can be read of them without TensorFlow."""

from pathlib import Path
from typing import Any

from amsl_tf.config import DetectorConfig
from amsl_tf.data.files import read_json
from amsl_tf.errors import AMSLError

CONFIG, WEIGHTS, STATE, METRICS, DATA = "config.json", "weights.weights.h5", "state.npz", "metrics.json", "data.json"
FORMAT = 1
ADVICE = "Name the folder of a saved detector, or train one (scripts/train.py)."


def read_config(folder: Path) -> DetectorConfig:
    """The settings of a saved detector.

    Raises:
        AMSLError: There is none, or it is of another format.
    """
    values = read_json(folder / CONFIG, ADVICE)
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise AMSLError(f"{folder / CONFIG}: expected a detector of format {FORMAT}. {ADVICE}")
    return DetectorConfig.from_dict(values.get("config"))


def read_data(folder: Path) -> dict[str, Any]:
    """Number, shape and hash of the windows that a saved detector was fitted on. Raises AMSLError where there is none."""
    return read_json(folder / DATA, ADVICE)
