"""The Lightning callback, and the two lines of a bare loop of PyTorch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

import gexcore as gx
from gexcore.callbacks import LightningRecord, TrainingRecord
from gexcore.errors import InvalidDataError
from tests.callbacks.by_hand import assert_same_scores, by_hand
from tests.callbacks.pages import example

pytestmark = pytest.mark.filterwarnings("ignore")  # of Lightning
SIZE, BATCH, EPOCHS = 40, 16, 3


def data() -> TensorDataset:
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.normal(size=(SIZE, 3)).astype(np.float32))
    return TensorDataset(torch.arange(SIZE), x, (x[:, 0] > 0).long() + (x[:, 1] > 1).long())


def loader() -> DataLoader:
    order = torch.Generator().manual_seed(1)
    return DataLoader(data(), batch_size=BATCH, shuffle=True, generator=order)


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 3))


class Module(LightningModule):
    def __init__(self, *, tells: bool = True) -> None:
        super().__init__()
        self.net, self.tells, self.steps = network(), tells, []

    def training_step(self, batch, batch_idx):
        index, x, y = batch
        logits = self.net(x)
        self.steps.append((index.numpy(), logits.detach().numpy().copy()))
        loss = functional.cross_entropy(logits, y)
        told = {"index": index, "logits": logits, "labels": y} if self.tells else {}
        return {"loss": loss, **told}

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


def fitted(module: Module, folder, **settings) -> None:
    Trainer(
        max_epochs=EPOCHS,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
        **settings,
    ).fit(module, loader())


def loop(record: TrainingRecord) -> tuple[nn.Module, list, list]:
    """The same training in a bare loop, with the two lines, and what a hand keeps of it."""
    model, steps, states = network(), [], []
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    batches = loader()
    for _ in range(EPOCHS):
        for index, x, y in batches:
            logits = model(x)
            losses = functional.cross_entropy(logits, y, reduction="none")
            steps.append((index.numpy(), logits.detach().numpy().copy()))
            record.batch(index, losses=losses, logits=logits, labels=y)
            optimizer.zero_grad()
            losses.mean().backward()
            optimizer.step()
        states.append({name: value.clone() for name, value in model.state_dict().items()})
        record.epoch(model.state_dict())
    return model, steps, states


def test_a_bare_loop_records_by_two_lines():
    record = TrainingRecord(SIZE, every=1)
    model, steps, states = loop(record)
    _, x, y = data().tensors
    assert_same_scores(record.recorder, by_hand(steps, y.numpy(), per_epoch=3, losses=True))
    assert not any(tensor.requires_grad for tensor in record.checkpoints[0].values())
    fits = [
        gx.TracIn(checkpoints=kept).fit(model, (x, y), progress=False).self_influence()
        for kept in (record.checkpoints, states)
    ]
    np.testing.assert_array_equal(fits[0], fits[1])
    # the last state is a copy: the training goes on without it
    with torch.no_grad():
        next(model.parameters()).zero_()
    assert next(iter(record.checkpoints[-1].values())).abs().sum() > 0


def test_lightning_scores_equal_those_of_a_record_kept_by_hand(tmp_path):
    record, module = LightningRecord(SIZE, every=2), Module()
    fitted(module, tmp_path, callbacks=[record])
    _, _, y = data().tensors
    assert record.recorder.epochs == (1, 2, 3)
    assert_same_scores(record.recorder, by_hand(module.steps, y.numpy(), per_epoch=3))
    assert len(record.checkpoints) == 1
    assert set(record.checkpoints[0]) == set(module.state_dict())
    plain = Module()
    fitted(plain, tmp_path)
    for a, b in zip(module.parameters(), plain.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_step_that_tells_nothing_is_refused(tmp_path):
    with pytest.raises(InvalidDataError, match="training_step returns no index"):
        fitted(Module(tells=False), tmp_path, callbacks=[LightningRecord(SIZE)])


def test_the_examples_of_the_page_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(example("torch.randn", "LightningRecord(200", "TrainerRecord(trainer"), names)
    assert len(names["record"].checkpoints) == 2
