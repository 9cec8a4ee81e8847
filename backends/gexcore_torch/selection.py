"""Models with other trainable parameters, and states from checkpoints."""

from __future__ import annotations

import copy
import os
import textwrap
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from gexcore.backend.refusals import check_names
from gexcore.errors import InvalidModelError
from gexcore_torch.pretrained import PRETRAINED, pretrained
from gexcore_torch.state import TorchState
from gexcore_torch.trainers import unwrapped
from gexcore_torch.worker import aliased, frozen, state_of, trainable


@torch.inference_mode(False)
def only(template: nn.Module, names: Collection[str]) -> nn.Module:
    """A copy of the model, in the same memory, where only these parameters are trainable.

    Raises
    ------
    InvalidSettingError
        If there are no names, or a name is no trainable parameter.
    """
    known = trainable(template)
    check_names(names, known)
    chosen = {id(known[name]) for name in names}
    return copy.deepcopy(
        template, {id(p): aliased(p, trained=id(p) in chosen) for p in template.parameters()}
    )


@torch.inference_mode(False)
def loaded(template: nn.Module, checkpoint: Any) -> TorchState:
    """The state of a state dict, or of a module of the same architecture.

    A folder or a name stands for weights of a model of transformers: see `pretrained`.

    Frozen parameters also come from the checkpoint, except quantised ones.

    Raises
    ------
    InvalidModelError
        If the checkpoint is neither, or names or shapes differ from the model.
    """
    name = os.fspath(checkpoint) if isinstance(checkpoint, str | os.PathLike) else None
    if isinstance(name, str) and (name == PRETRAINED or hasattr(template, "from_pretrained")):
        checkpoint = pretrained(template, name)
    if isinstance(checkpoint, nn.Module):
        checkpoint = unwrapped(checkpoint).state_dict()
    if not isinstance(checkpoint, Mapping):
        msg = (
            f"a checkpoint of type {type(checkpoint).__name__} was given; files are not read here: "
            "give the state dict that torch.load(path, weights_only=True) returns, or the module "
            "itself"
        )
        raise InvalidModelError(msg)
    module = copy.deepcopy(template)
    try:
        module.load_state_dict(_state_dict(checkpoint, module.state_dict()))
    except Exception as error:
        first = " ".join(str(error).split("\n\t")[1:2]) or str(error)
        msg = (
            f"the checkpoint does not fit {type(template).__name__} "
            f"({textwrap.shorten(first.rstrip('. '), 300)}); give the state dict of a model of the "
            "same architecture"
        )
        raise InvalidModelError(msg) from error
    # a frozen base may be large, and is usually equal in all checkpoints
    pairs = list(zip(frozen(template), frozen(module), strict=True))
    fixed = tuple(ours.data if torch.equal(ours, theirs) else theirs.data for ours, theirs in pairs)
    return replace(state_of(module), fixed=fixed)


def _state_dict(checkpoint: Mapping[str, Any], wanted: Mapping[str, Any]) -> Mapping[str, Any]:
    """The state dict in a checkpoint of a training loop, with the names of the model.

    It may be an entry among others, as ``"model_state_dict"``. Its names may have a prefix, as
    ``"module."`` of ``DataParallel``.
    """
    if not wanted or any(name in checkpoint for name in wanted):
        return checkpoint
    first = next(iter(wanted))
    found = []
    for entry in (checkpoint, *checkpoint.values()):
        if not isinstance(entry, Mapping):
            continue
        names = [n for n in entry if isinstance(n, str) and f".{n}".endswith(f".{first}")]
        prefixes = [name.removesuffix(first) for name in names]
        found += [
            {name: entry[prefix + name] for name in wanted}
            for prefix in prefixes
            if all(prefix + name in entry for name in wanted)
        ]
    return found[0] if len(found) == 1 else checkpoint
