"""Capabilities that a model does not have."""

from __future__ import annotations

from torch import nn

from gexcore.backend.protocols import (
    SupportsBufferRefresh,
    SupportsFeatures,
    SupportsKronecker,
    SupportsLogits,
    SupportsPartLosses,
)
from gexcore_torch.buffers import tracking
from gexcore_torch.features import linear_layers
from gexcore_torch.kronecker import layers_of
from gexcore_torch.losses import LOSSES


def missing(template: nn.Module, loss: object) -> frozenset[type]:
    """What the backend has a method for, and this model with this loss has not."""
    return frozenset(
        ([] if tracking(template) else [SupportsBufferRefresh])
        + ([SupportsLogits] if loss in ("squared_error", "binary_cross_entropy") else [])
        + ([] if loss is None or loss in LOSSES else [SupportsPartLosses])
        + ([] if linear_layers(template) else [SupportsFeatures])
        + ([] if layers_of(template) else [SupportsKronecker])
    )
