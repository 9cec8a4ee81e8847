"""Backends: what a framework must do for gexcore, and how a backend is found."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gexcore.backend.kronecker import KroneckerBlock
    from gexcore.backend.optimizer import Optimizer
    from gexcore.backend.plugins import FOLDER, BackendSpec, StoredModel, hookimpl
    from gexcore.backend.protocols import Backend, Dataset

__all__ = [
    "FOLDER",
    "Backend",
    "BackendSpec",
    "Dataset",
    "KroneckerBlock",
    "Optimizer",
    "StoredModel",
    "hookimpl",
]

# pluggy takes longer to import than all the rest of gexcore, and few programs need it
_HOMES = {
    "Backend": "protocols",
    "BackendSpec": "plugins",
    "Dataset": "protocols",
    "FOLDER": "plugins",
    "KroneckerBlock": "kronecker",
    "Optimizer": "optimizer",
    "StoredModel": "plugins",
    "hookimpl": "plugins",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
