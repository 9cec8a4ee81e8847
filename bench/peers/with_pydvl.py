"""pyDVL: EK-FAC."""

from __future__ import annotations

from typing import Any

import torch
from pydvl.influence.torch import EkfacInfluence
from torch.utils.data import DataLoader, TensorDataset

from bench.peers.case import Case


def ekfac(case: Case) -> Any:
    loader = DataLoader(TensorDataset(case.x, case.y), batch_size=256)
    method = EkfacInfluence(case.model(), update_diagonal=True, hessian_regularization=0.01).fit(
        loader
    )
    scores = []
    for x, y in loader:
        scores.append(torch.diagonal(method.influences(x, y, x, y)))
    return torch.cat(scores)


METHODS = {"pyDVL EK-FAC": ekfac}
