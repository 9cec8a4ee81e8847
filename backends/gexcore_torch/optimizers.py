"""Optimisers: PyTorch's own."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import nn

from gexcore.backend.optimizer import Optimizer
from gexcore.errors import InvalidModelError

MakeOptimizer = Callable[[list[nn.Parameter]], torch.optim.Optimizer]

# every step writes the rate of the plan to the groups
_ANY_LR = 0.0


def factory(settings: Optimizer) -> MakeOptimizer:
    """The function that makes the members' optimiser from a list of parameters.

    Parameters
    ----------
    settings : Optimizer
        A callable `name` is called as ``name(params)`` and returns a ``torch.optim.Optimizer``. It
        sets its own momentum and weight decay. The plan sets the learning rate.

    Raises
    ------
    InvalidModelError
        If the name is unknown.
    """
    if callable(settings.name):
        return partial(_native, settings.name)
    if settings.name == "sgd":
        return partial(
            torch.optim.SGD,
            lr=_ANY_LR,
            momentum=settings.momentum,
            weight_decay=settings.weight_decay,
        )
    if settings.name == "adamw":
        return partial(torch.optim.AdamW, lr=_ANY_LR, weight_decay=settings.weight_decay)
    msg = (
        f"no optimizer named {settings.name!r}; allowed are 'sgd', 'adamw' and a function params "
        "-> torch.optim.Optimizer"
    )
    raise InvalidModelError(msg)


def _native(
    make: Callable[[list[nn.Parameter]], object], params: list[nn.Parameter]
) -> torch.optim.Optimizer:
    made = make(params)
    if not isinstance(made, torch.optim.Optimizer):
        msg = (
            f"the optimizer function returned {type(made).__name__}; it must return a "
            "torch.optim.Optimizer"
        )
        raise InvalidModelError(msg)
    mine = {id(p) for p in params}
    if any(id(p) not in mine for group in made.param_groups for p in group["params"]):
        msg = (
            "the optimizer function made an optimizer of other parameters than it was given; "
            "use its argument, as in lambda params: torch.optim.Adam(params)"
        )
        raise InvalidModelError(msg)
    return made
