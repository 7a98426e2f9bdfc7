"""A small model server with the interfaces of TF Serving, for laptops and tests, and a client of both.

Batching across requests, version labels and fleets of servers need TF Serving; see the page Serving of the documentation.
"""

from importlib import import_module
from typing import Any

_MODULES = {"Client": "client", "Limits": "limits", "Model": "models", "Ports": "ports", "Server": "server"}
__all__ = sorted(_MODULES)


def __getattr__(name: str) -> Any:  # lazy, because the client needs neither the server nor TensorFlow
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
