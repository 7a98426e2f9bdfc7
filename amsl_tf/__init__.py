"""AMSL on TensorFlow 2 and Keras 3: anomaly detection in windows of multivariate sensor data.

The names below are loaded when they are first used, so that `import amsl_tf` starts neither TensorFlow nor Keras.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "AMSLConfig": "model_config",
    "AMSLDetector": "detector",
    "AMSLError": "errors",
    "CAEConfig": "model_config",
    "DataError": "errors",
    "DetectorConfig": "config",
    "MNADConfig": "model_config",
    "MemAEConfig": "model_config",
    "RFTMConfig": "model_config",
    "TrainingConfig": "config",
    "VIEWS": "views",
    "Windows": "data.windows",
}
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
