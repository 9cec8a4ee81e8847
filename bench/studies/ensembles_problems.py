"""Models with wrong labels for `ensembles_compared`: perceptrons in NumPy, and nets in PyTorch.

A training is recorded from its first epoch to its last, for the scores that need a recording.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import gexcore as gx
from bench.studies import data as files
from bench.studies import noise_kinds, small
from bench.studies.noise_kinds import LARGEST, Cell, Noisy

LINEAR = "linear"
"""A fit without a hidden layer, as long as a memorised one."""
NETS = {
    "mnist_cnn": ("digits_cnn", {"memorised": 25, "early": 4}, 64),
    "mnist_vit": ("digits_vit", {"memorised": 30, "early": 5}, 64),
    "mnist_mixer": ("digits_mixer", {"memorised": 30, "early": 5}, 64),
    "cifar": ("resnet8", {"memorised": 40, "early": 8}, 64),
    "cifar_shifted": ("resnet8", {"memorised": 60, "early": 8}, 64),
    "trec": ("EmbeddingBag", {"memorised": 40, "early": 6}, 32),
}
"""Model, epochs and batch size of each net. "cifar_shifted" is augmented."""
NET_RATES = {
    "sgd": {"trec": 0.5, "mnist_vit": 0.05, "mnist_mixer": 0.05},
    "adamw": {},
}
NET_RATE = {"sgd": 0.1, "adamw": 2e-3}
HUMAN = ("aggre", "random1", "worse")
"""CIFAR-10N: labels as people gave them."""


@dataclass(frozen=True)
class Problem:
    """A model with wrong labels, and the recording of its training.

    Parameters
    ----------
    cell : Cell
    folder : Path or None
        Folder of the larger data.
    cache : Path or None
        Folder of nets that were trained before.
    """

    cell: Cell
    folder: Path | None
    cache: Path | None = None

    @cached_property
    def given(self) -> Noisy:
        """The data with its noise."""
        return net_data(self.cell, self.folder) if self.is_net else self._table()

    @property
    def is_net(self) -> bool:
        """Whether the model is a net in PyTorch."""
        return self.cell.data in NETS

    @property
    def epochs(self) -> int:
        """Epochs of the training."""
        fit = self.cell.fit
        if self.is_net:
            return NETS[self.cell.data][1][fit]
        return small.EPOCHS["memorised" if fit == LINEAR else fit]

    def trained(self) -> tuple[Any, gx.Recorder, float]:
        """The model, its recording, and the CPU seconds of its training."""
        recorder = gx.Recorder(samples=len(self.given.labels))
        started = time.process_time()
        if self.is_net:
            from bench.studies.ensembles_nets import trained_net

            return trained_net(self, recorder)
        model = self.train(self.given.x, self.given.labels, recorder=recorder)
        return model, recorder, time.process_time() - started

    def train(self, x: Any, y: Any, *, seed: int | None = None, **how: Any) -> Any:
        """The same training on other samples."""
        seed = self.cell.seed if seed is None else seed
        if self.is_net:
            from bench.studies.ensembles_nets import train_net

            return train_net(self, x, y, seed=seed)
        fit = "memorised" if self.cell.fit == LINEAR else self.cell.fit
        cell = small.Cell(*self.cell._replace(fit=fit))  # type: ignore[arg-type]
        hidden = () if self.cell.fit == LINEAR else (128, 128)
        return small.train(x, y, cell=cell, seed=seed, recorded=self.epochs, hidden=hidden, **how)

    def _table(self) -> Noisy:
        return noise_kinds.load(self.cell, self.folder)


def net_data(cell: Cell, folder: Path | None) -> Noisy:
    """Pictures or tokens, at most 3,000, with their noise."""
    if folder is None:
        raise SystemExit(f"{cell.data} is read from files; give their folder with --files")
    name = cell.data.partition("_")[0]
    readers: dict[str, Callable[..., files.Noisy]] = {
        "mnist": files.mnist,
        "trec": files.trec,
        "cifar": partial(files.cifar, size=LARGEST),
    }
    if cell.kind in HUMAN:
        made = files.cifar(folder, cell.seed, size=LARGEST, labels=cell.kind)
        return Noisy(made.x, made.labels.astype(np.intp), made.wrong)
    made = readers[name](folder, cell.seed, rate=0.0)
    part = np.random.default_rng(5).permutation(len(made.x))[:LARGEST]
    x, y = made.x[part], made.labels[part].astype(np.intp)
    rng = np.random.default_rng([cell.seed, noise_kinds.KINDS.index(cell.kind)])
    if cell.kind.startswith("imbalance"):  # every second class has a twentieth of its samples
        keep = (y % 2 == 0) | (rng.random(len(y)) < 0.05)
        x, y = x[keep], y[keep]
    given = noise_kinds.mislabel(_plain(x, name, folder, part), y, cell.kind, rng)
    return Noisy(x, given, given != y)


def _plain(x: NDArray[Any], name: str, folder: Path, part: NDArray[Any]) -> NDArray[Any]:
    """Features that a linear model can learn from."""
    if name == "trec":
        return noise_kinds.words(files.questions(folder)[0])[part][: len(x)]
    side = x.shape[-1] // 4
    return x.reshape(len(x), -1, side, 4, side, 4).mean(axis=(3, 5)).reshape(len(x), -1)
