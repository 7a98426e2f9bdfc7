"""The folder of a saved detector: its files, and what can be read of them without TensorFlow."""

from pathlib import Path
from typing import Any, NamedTuple

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
FORMAT = 1
ADVICE = "Name the folder of a saved detector, or train one (scripts/train.py)."


class Summary(NamedTuple):
    """What the JSON files of a saved detector say.

    Attributes:
        config: Its settings.
        metrics: `thresholds`, by name of the score, and `history`, the value of each loss at each epoch.
        data: `windows`, `steps`, `channels` and `sha256` of the training windows, and the `fingerprint` of the training.
    """

    config: DetectorConfig
    metrics: dict[str, Any]
    data: dict[str, Any]


def read_summary(folder: Path) -> Summary:
    """Reads the JSON files of a saved detector.

    Raises:
        AMSLError: There is none, or it is of another format.
    """
    values = read_json(folder / CONFIG, ADVICE, ("format", "config"))
    if values["format"] != FORMAT:
        raise AMSLError(f"{folder / CONFIG}: expected a detector of format {FORMAT}, found {values['format']}. {ADVICE}")
    return Summary(
        DetectorConfig.from_dict(values["config"]),
        read_json(folder / METRICS, ADVICE, ("thresholds", "history")),
        read_json(folder / DATA, ADVICE, ("steps", "channels", "fingerprint")),
    )
