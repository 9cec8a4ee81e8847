"""The inputs of every method: one trained model, its data, its checkpoints and its training."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.optimizer import register_optimizer_step_post_hook

from bench.studies import data, models

CHECKPOINTS = 5


class Training(NamedTuple):
    """A dataset, a model, and a training that memorises it."""

    title: str
    model: Any
    layer: str
    epochs: int
    lr: float
    batch_size: int


def digits_mlp(classes: int) -> nn.Module:
    return nn.Sequential(
        nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, classes)
    )


TRAININGS = {
    "digits": Training("digits, MLP", digits_mlp, "4", 100, 0.05, 32),
    "mnist": Training("MNIST 4,000, CNN + BatchNorm", models.digits_cnn, "10", 25, 0.1, 64),
    "cifar": Training("CIFAR-10 3,000, ResNet-8 + BatchNorm", models.resnet8, "8", 40, 0.1, 64),
}


def load(problem: str, folder: Path, seed: int) -> data.Noisy:
    """The data with a tenth of its labels moved to another class."""
    if problem == "digits":
        from sklearn.datasets import load_digits

        x, clean = load_digits(return_X_y=True)
        noisy = data.flip(clean.astype(np.int64), 10, 0.1, seed)
        return data.Noisy((x / 16).astype(np.float32), noisy, noisy != clean, 10)
    if problem == "cifar":
        return data.cifar(folder, seed, size=3000)
    whole = data.mnist(folder, seed)
    part = np.sort(np.random.default_rng([seed, 3]).choice(len(whole.x), 4000, replace=False))
    return data.Noisy(whole.x[part], whole.labels[part], whole.wrong[part], whole.classes)


@dataclass(frozen=True)
class Case:
    """One trained model.

    Parameters
    ----------
    x, y : Tensor
        What it was trained on; some labels are wrong.
    checkpoints : list of Path
        State dicts, evenly over the training; the last is the trained model.
    """

    training: Training
    x: Tensor
    y: Tensor
    checkpoints: list[Path]
    seed: int

    def model(self) -> nn.Module:
        """The trained model, in evaluation mode."""
        found = self.fresh()
        found.load_state_dict(torch.load(self.checkpoints[-1], weights_only=True))
        return found.eval()

    def fresh(self, seed: int = 0) -> nn.Module:
        """An untrained one."""
        torch.manual_seed(seed)
        return self.training.model(10)

    def trained(
        self, model: nn.Module, x: Tensor, y: Tensor, *, epochs: int, seed: int
    ) -> nn.Module:
        """Trained as the model was, for so many epochs of its schedule."""
        optimizer = torch.optim.SGD(model.parameters(), lr=self.training.lr, momentum=0.9)
        steps = self.training.epochs * (len(x) // self.training.batch_size)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        order = torch.Generator().manual_seed(seed)
        model.train()
        for _ in range(epochs):
            for chosen in torch.randperm(len(x), generator=order).split(self.training.batch_size):
                if len(chosen) < self.training.batch_size:
                    continue
                optimizer.zero_grad()
                F.cross_entropy(model(x[chosen]), y[chosen]).backward()
                optimizer.step()
                schedule.step()
        return model.eval()


def write(problem: str, folder: Path, seed: int, out: Path) -> None:
    """Train, and leave in `out` all that the methods need."""
    import time

    noisy = load(problem, folder, seed)
    x, y = torch.from_numpy(noisy.x), torch.from_numpy(noisy.labels)
    training = TRAININGS[problem]
    out.mkdir(parents=True, exist_ok=True)
    case = Case(training, x, y, [], seed)
    model = case.fresh(seed)
    every = training.epochs // CHECKPOINTS
    saved = []
    started = time.process_time()
    steps_per_epoch = len(x) // training.batch_size
    counted = 0

    def after(_: Any, __: Any, ___: Any) -> None:
        nonlocal counted
        counted += 1
        if counted % (every * steps_per_epoch) == 0:
            saved.append(out / f"{len(saved)}.pt")
            torch.save(model.state_dict(), saved[-1])

    hook = register_optimizer_step_post_hook(after)
    case.trained(model, x, y, epochs=training.epochs, seed=seed)
    hook.remove()
    seconds = time.process_time() - started
    np.savez(out / "data.npz", x=noisy.x, labels=noisy.labels, wrong=noisy.wrong)
    with torch.no_grad():
        fitted = float(
            (F.cross_entropy(model(x), y, reduction="none")[noisy.wrong] < np.log(2)).float().mean()
        )
    about = {
        "problem": problem,
        "seed": seed,
        "seconds": seconds,
        "fitted": fitted,
        "checkpoints": len(saved),
    }
    (out / "case.json").write_text(json.dumps(about))


def read(out: Path) -> Case:
    """What `write` left."""
    about = json.loads((out / "case.json").read_text())
    stored = np.load(out / "data.npz")
    x, y = torch.from_numpy(stored["x"]), torch.from_numpy(stored["labels"])
    checkpoints = [out / f"{number}.pt" for number in range(about["checkpoints"])]
    return Case(TRAININGS[about["problem"]], x, y, checkpoints, about["seed"])


per_sample = partial(F.cross_entropy, reduction="none")
