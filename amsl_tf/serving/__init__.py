"""A small server that speaks as TF Serving does, for a laptop and for tests, and a client of either.

What it does not do, batching across requests, labels, fleets, is TF Serving's (docs/serving.md).
"""

from importlib import import_module
from typing import Any

_HOMES = {"Client": "client", "Limits": "server", "Model": "models", "Server": "server"}
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
