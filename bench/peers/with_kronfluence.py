"""kronfluence: EK-FAC of linear and convolutional layers."""

from __future__ import annotations

import tempfile
from typing import Any

import torch
from kronfluence.analyzer import Analyzer, prepare_model
from kronfluence.task import Task
from torch.nn import functional as F
from torch.utils.data import TensorDataset

from bench.peers.case import Case


class Classification(Task):
    def compute_train_loss(
        self, batch: Any, model: torch.nn.Module, sample: bool = False
    ) -> torch.Tensor:
        x, y = batch
        logits = model(x)
        if sample:
            y = torch.multinomial(logits.detach().softmax(1), 1).flatten()
        return F.cross_entropy(logits, y, reduction="sum")

    def compute_measurement(self, batch: Any, model: torch.nn.Module) -> torch.Tensor:
        return self.compute_train_loss(batch, model)


def ekfac(case: Case) -> Any:
    task, dataset = Classification(), TensorDataset(case.x, case.y)
    with tempfile.TemporaryDirectory() as folder:
        model = prepare_model(case.model(), task)
        analyzer = Analyzer("case", model, task, cpu=True, output_dir=folder, disable_tqdm=True)
        analyzer.fit_all_factors("ekfac", dataset, per_device_batch_size=256)
        analyzer.compute_self_scores("self", "ekfac", dataset, per_device_train_batch_size=256)
        return analyzer.load_self_scores("self")["all_modules"]


METHODS = {"kronfluence EK-FAC": ekfac}
