"""Two real processes train one model together, and each records its part."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np

from gexcore.scores import AUM, EL2N, MeanMemberLoss, Recorder
from tests.callbacks.pages import example

SCRIPT = """
import sys
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

from gexcore.callbacks import TrainingRecord

folder, rank, ranks = Path(sys.argv[1]), int(sys.argv[2]), 2
torch.set_num_threads(1)
dist.init_process_group(
    "gloo", init_method=f"file://{folder}/group", rank=rank, world_size=ranks
)
rng = torch.Generator().manual_seed(0)
x = torch.randn(30, 3, generator=rng)
y = (x[:, 0] > 0).long()
torch.manual_seed(0)
net = nn.parallel.DistributedDataParallel(nn.Linear(3, 2))
optimizer = torch.optim.SGD(net.parameters(), 0.1)
data = TensorDataset(torch.arange(30), x, y)
sampler = DistributedSampler(data, shuffle=True, seed=0)
record, steps = TrainingRecord(30), []
for epoch in range(3):
    sampler.set_epoch(epoch)
    for index, inputs, labels in DataLoader(data, batch_size=5, sampler=sampler):
        logits = net(inputs)
        losses = cross_entropy(logits, labels, reduction="none")
        record.batch(index, losses=losses, logits=logits, labels=labels)
        steps.append([epoch, index, losses.detach(), logits.detach(), labels])
        optimizer.zero_grad()
        losses.mean().backward()
        optimizer.step()
    record.epoch()
torch.save(steps, folder / f"steps{rank}.pt")
# the lines of the page
import os
os.chdir(folder)
{save}
dist.destroy_process_group()
"""


def test_the_records_of_two_ranks_are_one_record(tmp_path: Path) -> None:
    import torch

    save, merge = (
        line.split("  #")[0] for line in example("Recorder.merged").splitlines() if "rank" in line
    )
    script = tmp_path / "train.py"
    script.write_text(SCRIPT.replace("{save}", save))
    running = [
        subprocess.Popen([sys.executable, script, tmp_path, str(rank)], stderr=subprocess.PIPE)
        for rank in range(2)
    ]
    for process in running:
        _, told = process.communicate(timeout=240)
        assert process.returncode == 0, told.decode()

    names = {"Recorder": Recorder, "ranks": 2}
    exec(merge.replace('f"', f'f"{tmp_path}/'), names)
    found = names["whole"]
    parts = [Recorder.load(tmp_path / f"rank{rank}.npz") for rank in range(2)]
    assert all(np.isnan(part.curve("losses")).any() for part in parts)  # each saw half of them
    assert not np.isnan(found.curve("losses")).any()

    wanted = Recorder(30)
    steps = [torch.load(tmp_path / f"steps{rank}.pt", weights_only=True) for rank in range(2)]
    for epoch in range(3):
        for part in steps:
            for number, index, losses, logits, labels in part:
                if number == epoch:
                    wanted.add(index, losses=losses, logits=logits, labels=labels)
        wanted.epoch()
    for method in (AUM, MeanMemberLoss, lambda recorder: EL2N(recorder=recorder, epoch=3)):
        np.testing.assert_allclose(
            method(recorder=found).fit().values, method(recorder=wanted).fit().values, rtol=1e-6
        )
