"""Trainers of transformers and Lightning, and wrappers: the model and the data that they hold."""

from __future__ import annotations

from typing import Any

from torch import nn

from gexcore_torch.lightning import is_a, loader_of


def is_trainer(value: Any) -> bool:
    """Whether this is a ``transformers.Trainer``, which is not imported."""
    return any(
        cls.__name__ == "Trainer" and cls.__module__ == "transformers.trainer"
        for cls in type(value).__mro__
    )


def unwrapped(model: Any) -> Any:
    """The model without ``DataParallel``, ``DistributedDataParallel`` and ``torch.compile``."""
    while True:
        if isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
            model = model.module
        elif is_trainer(model):
            model = model.model
        elif is_a(model, "Trainer"):
            model = model.lightning_module
        elif hasattr(model, "_orig_mod"):
            model = model._orig_mod
        else:
            return model


def own_data_of(model: Any) -> Any:
    """The training data that a Trainer holds; else None."""
    if is_a(model, "Trainer"):
        return loader_of(model)
    if not is_trainer(model) or model.train_dataset is None:
        return None
    return model.get_eval_dataloader(model.train_dataset)
