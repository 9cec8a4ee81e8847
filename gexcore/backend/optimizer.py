"""The optimiser of members."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Optimizer:
    """The optimiser that members step with, fresh at every restart.

    Parameters
    ----------
    name : {"sgd", "adamw"} or callable
        Name, or a factory of the framework in the form that the backend documents.
    momentum : float
        Momentum of SGD. AdamW keeps its own defaults.
    weight_decay : float
        L2 penalty of SGD (added to the gradient), or decoupled decay of AdamW.
    """

    name: str | Callable[..., Any] = "sgd"
    momentum: float = 0.9
    weight_decay: float = 0.0
