"""A store tells models apart that have the same weights."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from gexcore.backend.structure import structure_of
from gexcore_torch.backend import TorchBackend


class Net(nn.Module):
    def __init__(self, dropout: float = 0.1, slope: float = 0.1) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(
            nn.Linear(3, 4), nn.BatchNorm1d(4), nn.LeakyReLU(slope), nn.Dropout(dropout)
        )
        self.last = nn.Linear(4, 2)

    def forward(self, x: Any) -> Any:
        return self.last(self.layers(x))


class Doubled(Net):
    def forward(self, x: Any) -> Any:
        return 2 * self.last(self.layers(x))


def digest(model: nn.Module) -> str:
    found = structure_of(TorchBackend(model).structure())
    assert not found.unread
    return found.digest


def test_equal_models_have_one_digest_in_any_mode() -> None:
    used = Net().eval()
    used(torch.ones(2, 3))
    assert digest(Net()) == digest(Net()) == digest(used)


@pytest.mark.parametrize("other", [Net(dropout=0.2), Net(slope=0.2), Doubled()])
def test_settings_and_code_count(other: nn.Module) -> None:
    assert digest(other) != digest(Net())
