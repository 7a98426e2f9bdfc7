"""A content hash that identifies a training run."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from amsl_tf._version import __version__
from amsl_tf.config import DetectorConfig
from amsl_tf.data.windows import hash_windows


def fingerprint(
    config: DetectorConfig,
    policy: str,
    data: dict[str, Any],
    groups: np.ndarray | None,
    views: Mapping[str, np.ndarray] | None,
    weights: Path | None,
    replicas: int = 1,
) -> str:
    """Computes the hash of everything that the result of a training run depends on.

    Args:
        config: The settings of the detector.
        policy: The dtype policy of the network.
        data: The number, shape and hash of the training windows, ready for JSON.
        groups: The group of each window (N,), or None.
        views: The materialised views (N, T, C) by name, or None.
        weights: The file with the weights of a network trained elsewhere, or None.
        replicas: The number of devices that train together.

    Returns:
        16 hexadecimal digits.
    """
    versions = [__version__, keras.__version__, np.__version__]
    digest = hashlib.sha256(json.dumps([config.to_dict(), policy, data, versions]).encode())
    digest.update(json.dumps([] if groups is None else groups.tolist(), default=str).encode())
    for name, view in (views or {}).items():
        digest.update(f"{name} {hash_windows(view)}".encode())
    if weights is not None:
        digest.update(weights.read_bytes())
    if replicas > 1:
        digest.update(f"{replicas} replicas".encode())
    return digest.hexdigest()[:16]
