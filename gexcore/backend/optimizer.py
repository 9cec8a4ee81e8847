"""What members step with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Optimizer:
    """What the members step with; fresh at every restart.

    Parameters
    ----------
    name : {"sgd", "adamw"} or callable
        A callable is the framework's own factory, as the backend documents it.
    momentum : float
        Of SGD; AdamW keeps its own defaults.
    weight_decay : float
        L2 penalty of SGD (added to the gradient), decoupled decay of AdamW.
    """

    name: str | Callable[..., Any] = "sgd"
    momentum: float = 0.9
    weight_decay: float = 0.0
