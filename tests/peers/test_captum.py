"""TracIn and the influence function here and in captum: the same numbers to rounding."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from captum.influence import TracInCP, TracInCPFast
from torch import nn
from torch.utils.data import TensorDataset

import gexcore as gx

CLOSE = {"rtol": 1e-8, "atol": 1e-10}
RATES = {"early": 1.0, "late": 1.0}


def net(seed: int) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)).double()


STATES = {name: net(seed).state_dict() for seed, name in enumerate(RATES)}
generator = torch.Generator().manual_seed(7)
X, Y = torch.randn(20, 4, generator=generator, dtype=torch.float64), torch.arange(20) % 3
TEST = X[:6] + 0.1, (Y[:6] + 1) % 3


def load(module: Any, name: str) -> float:
    """The rate that captum weighs a checkpoint by: 1, as TracIn's mean here times the number of
    checkpoints."""
    module.load_state_dict(STATES[name])
    return RATES[name]


@pytest.mark.parametrize("batch_size", [3, 20])
def test_tracin(batch_size: int) -> None:
    theirs = TracInCP(
        net(9),
        TensorDataset(X, Y),
        list(RATES),
        load,
        loss_fn=nn.CrossEntropyLoss(reduction="none"),
        batch_size=batch_size,
    )
    found = gx.TracIn(checkpoints=list(STATES.values())).fit(
        net(9), (X, Y), test=TEST, progress=False
    )
    np.testing.assert_allclose(2 * found.influence(), theirs.influence(TEST).numpy(), **CLOSE)
    np.testing.assert_allclose(2 * found.self_influence(), theirs.self_influence().numpy(), **CLOSE)
    # the comparison can fail
    assert np.abs(found.influence() - theirs.influence(TEST).numpy()).max() > 1e-3


def test_tracin_of_the_last_weight() -> None:
    module = net(9)
    theirs = TracInCPFast(
        module,
        module[2],
        TensorDataset(X, Y),
        list(RATES),
        load,
        loss_fn=nn.CrossEntropyLoss(reduction="sum"),
        batch_size=20,
    )
    # theirs is of the weight alone
    method = gx.TracIn(checkpoints=list(STATES.values()), parameters="2.weight")
    found = method.fit(net(9), (X, Y), test=TEST, progress=False)
    np.testing.assert_allclose(2 * found.influence(), theirs.influence(TEST).numpy(), **CLOSE)
    np.testing.assert_allclose(2 * found.self_influence(), theirs.self_influence().numpy(), **CLOSE)
