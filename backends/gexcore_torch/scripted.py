"""TorchScript modules that can be copied."""

from __future__ import annotations

import io
import warnings
from typing import Any

import torch


class Scripted(torch.nn.Module):
    """A TorchScript module that can be copied: ``copy.deepcopy`` alone loses its parameters."""

    def __init__(self, script: torch.nn.Module) -> None:
        super().__init__()
        self.script = script

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The output of the script."""
        return self.script(*args, **kwargs)

    def __deepcopy__(self, memo: dict[int, Any]) -> Scripted:
        stored = io.BytesIO()
        quietly(torch.jit.save, self.script, stored)
        stored.seek(0)
        copied = Scripted(quietly(torch.jit.load, stored))
        for new, old in zip(copied.parameters(), self.parameters(), strict=True):
            new.requires_grad_(old.requires_grad)
        return copied.train(self.training)


def quietly(function: Any, *args: Any, **kwargs: Any) -> Any:
    """The result of a function of TorchScript, which is deprecated as a whole."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return function(*args, **kwargs)
