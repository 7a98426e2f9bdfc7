"""Names for data and for trainings, by their content."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from amsl_tf import __version__
from amsl_tf.config import DetectorConfig
from amsl_tf.data.windows import chunks


def hash_windows(x: np.ndarray) -> str:
    """sha256 of the windows' shape and float32 values."""
    digest = hashlib.sha256(str(x.shape).encode())
    for _, chunk in chunks(x):
        digest.update(np.ascontiguousarray(chunk).tobytes())
    return digest.hexdigest()


def fingerprint(
    config: DetectorConfig,
    policy: str,
    data: dict[str, Any],
    groups: np.ndarray | None,
    views: Mapping[str, np.ndarray] | None,
    weights: Path | None,
) -> str:
    """Names a training: another name where anything differs that it depends on."""
    versions = [__version__, keras.__version__, np.__version__]
    digest = hashlib.sha256(json.dumps([config.to_dict(), policy, data, versions]).encode())
    digest.update(json.dumps([] if groups is None else groups.tolist(), default=str).encode())
    for name, view in (views or {}).items():
        digest.update(f"{name} {hash_windows(view)}".encode())
    if weights is not None:
        digest.update(weights.read_bytes())
    return digest.hexdigest()[:16]
