"""captum: TracIn in the last layer from five checkpoints, and Arnoldi from the final one."""

from __future__ import annotations

from typing import Any

from captum.influence import TracInCPFast
from captum.influence._core.arnoldi_influence_function import ArnoldiInfluenceFunction
from torch import nn
from torch.utils.data import TensorDataset

from bench.peers.case import Case


def tracin(case: Case) -> Any:
    model = case.model()
    dataset = TensorDataset(case.x, case.y)
    method = TracInCPFast(
        model,
        model.get_submodule(case.training.layer),
        dataset,
        [str(path) for path in case.checkpoints],
        loss_fn=nn.CrossEntropyLoss(reduction="sum"),
        batch_size=256,
    )
    return method.self_influence()


def arnoldi(case: Case) -> Any:
    dataset = TensorDataset(case.x, case.y)
    method = ArnoldiInfluenceFunction(
        case.model(),
        dataset,
        str(case.checkpoints[-1]),
        loss_fn=nn.CrossEntropyLoss(reduction="sum"),
        batch_size=256,
        sample_wise_grads_per_batch=True,
    )
    return method.self_influence()


METHODS = {"captum TracInCPFast, 5 checkpoints": tracin, "captum Arnoldi": arnoldi}
