"""Nets in PyTorch for `ensembles_compared`, trained once and kept in a folder."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

import gexcore as gx
from bench.studies import models
from bench.studies.ensembles_problems import NET_RATE, NET_RATES, NETS, Problem
from bench.studies.training import train


def train_net(problem: Problem, x: Any, y: Any, *, seed: int, **told: Any) -> torch.nn.Module:
    """The net of a problem, trained on these samples."""
    cell = problem.cell
    name, _, size = NETS[cell.data]
    torch.manual_seed(seed)
    classes = int(problem.given.labels.max()) + 1
    return train(
        getattr(models, name)(classes),
        x,
        np.asarray(y, np.int64),
        epochs=problem.epochs,
        lr=NET_RATES[cell.optimizer].get(cell.data, NET_RATE[cell.optimizer]),
        batch_size=size,
        seed=seed,
        optimizer=cell.optimizer,
        augment=partial(shifted, generator=torch.Generator().manual_seed(seed))
        if cell.data.endswith("_shifted")
        else None,
        **told,
    )


def shifted(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Pictures, each mirrored or not, and moved by up to four pixels."""
    side = x.shape[-1]
    flips = torch.rand(len(x), generator=generator) < 0.5
    x = torch.where(flips[:, None, None, None], x.flip(-1), x)
    rows, columns = torch.randint(0, 9, (2, len(x)), generator=generator).tolist()
    padded = F.pad(x, (4, 4, 4, 4))
    return torch.stack(
        [p[:, r : r + side, c : c + side] for p, r, c in zip(padded, rows, columns, strict=True)]
    )


def trained_net(problem: Problem, recorder: gx.Recorder) -> tuple[Any, gx.Recorder, float]:
    """The model, its recording, and the CPU seconds of its training."""
    name = "-".join(map(str, problem.cell)).replace(":", "_").replace(".", "_")
    place = problem.cache and problem.cache / name
    x, labels, _ = problem.given
    if place and place.with_suffix(".pt").exists():
        stored = torch.load(place.with_suffix(".pt"), weights_only=True)
        model = getattr(models, NETS[problem.cell.data][0])(int(labels.max()) + 1)
        model.load_state_dict(stored["model"])
        return model.eval(), gx.Recorder.load(place.with_suffix(".npz")), stored["seconds"]

    def seen(indices: torch.Tensor, logits: torch.Tensor) -> None:
        at = indices.numpy()
        given = torch.from_numpy(labels[at])
        losses = F.cross_entropy(logits, given, reduction="none")
        recorder.add(at, losses=losses.numpy(), logits=logits.numpy(), labels=labels[at])

    started = time.process_time()
    model = train_net(
        problem, x, labels, seed=problem.cell.seed, on_batch=seen,
        on_epoch=lambda number: recorder.epoch(number - 1),
    )  # fmt: skip
    seconds = time.process_time() - started
    if place:
        place.parent.mkdir(parents=True, exist_ok=True)
        torch.save({"model": model.state_dict(), "seconds": seconds}, place.with_suffix(".pt"))
        recorder.save(place.with_suffix(".npz"))
    return model, recorder, seconds
