"""The folder of a served model as TF Serving reads it: numbered folders with a SavedModel each. No TensorFlow is imported."""

import re
from pathlib import Path

DEFAULT, EXPLAIN = "serving_default", "explain"  # signatures
WARMUP = "assets.extra/tf_serving_warmup_requests"
ABOUT = "model.json"
VERSION = "[0-9]{1,18}"  # a version is a 64-bit integer in TF Serving


def number_of(name: str) -> int | None:
    """Returns the version number of a folder name, or None if it is not a version."""
    return int(name) if re.fullmatch(VERSION, name) else None


def versions(folder: Path) -> dict[int, Path]:
    """Returns the folders of the versions by number, in rising order. Raises OSError if the folder is missing."""
    found = {number_of(item.name): item for item in folder.iterdir() if item.is_dir()}
    return {number: found[number] for number in sorted(key for key in found if key is not None)}
