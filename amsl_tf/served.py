"""The folder of a served model, as TF Serving reads it: numbered folders, each with a SavedModel; no TensorFlow needed here."""

import re
from pathlib import Path

DEFAULT, EXPLAIN = "serving_default", "explain"  # the signatures
WARMUP = "assets.extra/tf_serving_warmup_requests"
ABOUT = "model.json"
VERSION = "[0-9]{1,18}"  # TF Serving counts in 64 bits


def number_of(name: str) -> int | None:
    """The version that a folder of this name is, or None if it is none."""
    return int(name) if re.fullmatch(VERSION, name) else None


def versions(folder: Path) -> dict[int, Path]:
    """The folders of the versions by number, in rising order. Raises OSError where there is no folder."""
    found = {number_of(item.name): item for item in folder.iterdir() if item.is_dir()}
    return {number: found[number] for number in sorted(key for key in found if key is not None)}
