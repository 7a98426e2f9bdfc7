"""Export of fitted detectors as SavedModels."""

from importlib import import_module
from typing import Any

__all__ = ["export_detector"]


def __getattr__(name: str) -> Any:  # lazy, because serving needs the layout of folders alone
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.writer"), name)
