"""Recorders where people train: callbacks for Keras, Hugging Face and Lightning, and bare loops.

Each callback imports its framework when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gexcore.callbacks.huggingface import TrainerRecord
    from gexcore.callbacks.keras import KerasRecord
    from gexcore.callbacks.lightning import LightningRecord
    from gexcore.callbacks.training import TrainingRecord

__all__ = ["KerasRecord", "LightningRecord", "TrainerRecord", "TrainingRecord"]

_HOMES = {
    "KerasRecord": "keras",
    "LightningRecord": "lightning",
    "TrainerRecord": "huggingface",
    "TrainingRecord": "training",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
