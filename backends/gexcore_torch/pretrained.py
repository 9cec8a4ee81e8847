"""The pretrained weights that a model of transformers names, read from the disk."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn

from gexcore.errors import InvalidModelError

PRETRAINED = "pretrained"
"""The name that stands for the weights that the model itself names."""


def pretrained(model: nn.Module, name: str = PRETRAINED) -> nn.Module:
    """A model of the same structure with the weights that `model` was tuned from.

    Files are read from the disk only, and no pickle is read. Parts that the files lack, such as a
    new head, have a fresh random start, which is always the same.

    Parameters
    ----------
    model : Module
        A model of transformers, as ``from_pretrained`` made it and a training left it.
    name : str
        Folder or name of the weights. "pretrained" is the name in the model's configuration.

    Raises
    ------
    InvalidModelError
        If the model has adapters or names no weights, or if they are not on the disk, or are those
        of the model.
    """
    if hasattr(model, "peft_config"):
        raise InvalidModelError(
            f"the reference is {name!r}, and {type(model).__name__} has adapters; they shrink "
            "towards zero, which is the model before the tuning: leave the reference out"
        )
    config: Any = getattr(model, "config", None)
    if name == PRETRAINED:
        name = getattr(config, "name_or_path", "")
    if not name or not hasattr(type(model), "from_pretrained"):
        raise InvalidModelError(
            f"the reference is a name, and {type(model).__name__} names no weights of transformers "
            "that it was tuned from; give the model with its pretrained weights as the reference"
        )
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            found: nn.Module = type(model).from_pretrained(  # type: ignore[attr-defined]
                name, config=copy.deepcopy(config), local_files_only=True, use_safetensors=True
            )
    except (OSError, ValueError, RuntimeError) as error:
        raise InvalidModelError(
            f"the weights {name!r} of the reference are not on this disk in the safetensors "
            "format; give their folder, or the model with its pretrained weights"
        ) from error
    wanted, values = model.state_dict(), found.state_dict()
    if all(torch.equal(values[key].to(wanted[key].device), wanted[key]) for key in wanted):
        raise InvalidModelError(
            f"the model was read from {name!r}, and has these weights itself; give the folder of "
            "the weights that it was tuned from as the reference, or the model with them"
        )
    return found
