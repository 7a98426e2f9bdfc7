"""The folder of a served model, as TF Serving reads it: numbered folders, each with a SavedModel; no TensorFlow needed here."""

from pathlib import Path

DEFAULT, EXPLAIN = "serving_default", "explain"  # the signatures
WARMUP = "assets.extra/tf_serving_warmup_requests"
ABOUT = "model.json"


def versions(folder: Path) -> dict[int, Path]:
    """The folders of the versions by number, in rising order. Raises OSError where there is no folder."""
    found = {int(item.name): item for item in folder.iterdir() if item.name.isdecimal() and item.is_dir()}
    return dict(sorted(found.items()))
