"""The pretrained weights that a model of transformers names, read from the disk."""

from __future__ import annotations

import copy
import textwrap
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from gexcore.errors import InvalidModelError

PRETRAINED = "pretrained"
"""The name that stands for the weights that the model itself names."""

MOST_LOST = 0.1
"""Share of the parameters below the head that files may lack, as some lack a pooling layer."""


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
        If the model has adapters or names no weights, or if they are not on the disk, are of
        another architecture, or are those of the model.
    """
    if hasattr(model, "peft_config"):
        raise InvalidModelError(
            f"the reference is {name!r}, and {type(model).__name__} has adapters; they shrink "
            "towards zero, which is the model before the tuning: leave the reference out"
        )
    config: Any = getattr(model, "config", None)
    given = name
    if name == PRETRAINED:
        name = getattr(config, "name_or_path", "")
    if not name or not hasattr(type(model), "from_pretrained"):
        raise InvalidModelError(
            f"the reference is {given!r}, and {type(model).__name__} names no weights of "
            "transformers that it was tuned from; give the model with its pretrained weights as "
            "the reference"
        )
    other = "give their folder, or the model with its pretrained weights"
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            read: tuple[nn.Module, Any] = type(model).from_pretrained(  # type: ignore[attr-defined]
                name,
                config=copy.deepcopy(config),
                local_files_only=True,
                use_safetensors=True,
                ignore_mismatched_sizes=True,
                output_loading_info=True,
            )
    except OSError as error:
        raise InvalidModelError(
            f"the weights {name!r} of the reference are not on this disk in the safetensors "
            f"format; {other}"
        ) from error
    except Exception as error:
        short = textwrap.shorten(str(error).rstrip("."), 200)
        raise InvalidModelError(
            f"the weights {name!r} of the reference cannot be read into {type(model).__name__} "
            f"({short}); {other}"
        ) from error
    found, told = read
    if _is_another(found, told):
        raise InvalidModelError(
            f"the weights {name!r} of the reference are of another architecture or size than "
            f"{type(model).__name__}; give the weights that it was tuned from"
        )
    wanted, values = model.state_dict(), found.state_dict()
    if wanted.keys() == values.keys() and all(
        torch.equal(values[key].to(wanted[key].device), wanted[key]) for key in wanted
    ):
        raise InvalidModelError(
            f"the model was read from {name!r}, and has these weights itself; give the folder of "
            "the weights that it was tuned from as the reference, or the model with them"
        )
    return found


def _is_another(found: Any, told: Mapping[str, Any]) -> bool:
    """Whether files lack much of a model below its head, or have it in other shapes."""
    below = {id(parameter) for parameter in found.base_model.parameters()}
    sizes = {n: p.numel() for n, p in found.named_parameters() if id(p) in below}
    reshaped = sizes.keys() & {key for key, *_ in told["mismatched_keys"]}
    lost = sum(sizes[name] for name in sizes.keys() & set(told["missing_keys"]))
    return bool(reshaped) or lost > MOST_LOST * sum(sizes.values())
