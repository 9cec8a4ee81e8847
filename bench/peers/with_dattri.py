"""dattri: EK-FAC (of linear layers) and Arnoldi."""

from __future__ import annotations

from typing import Any

import torch
from dattri.algorithm.influence_function import IFAttributorArnoldi, IFAttributorEKFAC
from dattri.task import AttributionTask
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from bench.peers.case import Case


def ekfac(case: Case) -> Any:
    model = case.model()
    loader = DataLoader(TensorDataset(case.x, case.y), batch_size=256)

    def loss(parameters: Any, batch: Any) -> torch.Tensor:
        x, y = batch
        x, y = (x[None], y[None]) if y.ndim == 0 else (x, y)
        return F.cross_entropy(torch.func.functional_call(model, parameters, x), y)

    task = AttributionTask(loss, model, model.state_dict())
    method = IFAttributorEKFAC(task, damping=0.01)
    method.cache(loader)
    scores = []
    for x, y in loader:  # self_attribute fails for batches of more than one sample
        part = DataLoader(TensorDataset(x, y), batch_size=len(y))
        scores.append(torch.diagonal(method.attribute(part, part)))
    return torch.cat(scores)


def arnoldi(case: Case) -> Any:
    model = case.model()
    loader = DataLoader(TensorDataset(case.x, case.y), batch_size=256)

    def loss(parameters: Any, batch: Any) -> torch.Tensor:
        x, y = batch
        x, y = (x[None], y[None]) if y.ndim == 0 else (x, y)
        return F.cross_entropy(torch.func.functional_call(model, parameters, x), y)

    task = AttributionTask(loss, model, model.state_dict())
    method = IFAttributorArnoldi(task)
    method.cache(loader)
    scores = []
    for x, y in loader:  # self_attribute fails for batches of more than one sample
        part = DataLoader(TensorDataset(x, y), batch_size=len(y))
        scores.append(torch.diagonal(method.attribute(part, part)))
    return torch.cat(scores)


METHODS = {"dattri EK-FAC": ekfac, "dattri Arnoldi": arnoldi}
