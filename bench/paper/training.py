"""One training loop for every framework: gexcore's own steps, under the schedule of the recipe."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

import gexcore as gx
from bench.paper.recipes import Recipe, Scale, Setting, nets_of
from bench.paper.views import Views
from gexcore.backend.batches import training_order
from gexcore.backend.data import to_numpy
from gexcore.backend.registry import default_registry
from gexcore.progress import progress_bar

CHECKPOINTS = 5
"""Of the second half of the training, evenly spaced."""
BATCH = 512


@dataclass
class Left:
    """What a training leaves behind.

    Parameters
    ----------
    model : native model
    checkpoints : list of native models
    recorder : Recorder or None
        Curves of every sample, from a pass in evaluation mode after each epoch.
    seconds : float
        CPU time of the steps.
    passes : float
        Forward passes over the data, a step being three; without the recorder's.
    """

    model: Any
    checkpoints: list[Any] = field(default_factory=list)
    recorder: gx.Recorder | None = None
    seconds: float = 0.0
    passes: float = 0.0


@dataclass(frozen=True)
class Trainer:
    """A recipe at a scale in a framework, for samples of one kind."""

    recipe: Recipe
    scale: Scale
    backend: str
    classes: int
    colours: int | None = None
    progress: bool = False

    @property
    def setting(self) -> Setting:
        return self.recipe.scales[self.scale]

    def build(self, seed: int) -> Any:
        """A fresh net."""
        colours = {} if self.colours is None else {"colours": self.colours}
        return self.recipe.build(self.scale, self.backend, self.classes, seed, **colours)

    def engine(self, model: Any) -> Any:
        """gexcore's backend of the model, with the loss and the optimiser of the training."""
        return default_registry().create(
            model, loss=self.recipe.loss(self.backend), optimizer=self.setting.rule()
        )

    def native(self, model: Any, state: Any) -> Any:
        """The framework's own model at a state."""
        return nets_of(self.backend).native(model, state)

    def rates(self, steps: int) -> Iterator[float]:
        """A linear rise to the peak, then a half cosine to zero."""
        told = self.setting.warm_up
        warm = max(1, round(told * steps) if told < 1 else min(int(told), steps // 2))
        for step in range(steps):
            if step < warm:
                yield self.setting.peak * (step + 1) / warm
            else:
                done = (step - warm) / max(1, steps - warm)
                yield 0.5 * self.setting.peak * (1 + math.cos(math.pi * done))

    def train(
        self,
        x: Any,
        y: NDArray[Any],
        seed: int,
        *,
        epochs: int | None = None,
        record: bool = False,
        keep: bool = False,
    ) -> Left:
        """The training, or its first epochs under the schedule of all."""
        setting = self.setting
        if y.ndim == 2:
            y = y.astype(np.float32)
        fresh = self.build(seed)
        engine = self.engine(fresh)
        data = Views(x, y, augment=setting.augment, flip=self.colours == 3)
        batch = min(setting.batch_size, len(y))
        each = len(y) // batch
        last = setting.epochs if epochs is None else epochs
        rates = self.rates(setting.epochs * each)
        kept = {round(setting.epochs * share) for share in np.linspace(0.6, 1.0, CHECKPOINTS)}
        left = Left(None, recorder=gx.Recorder(len(y)) if record else None)
        order = training_order(len(y), batch, seed=seed, chain=0)
        state = engine.copy(engine.initial_state())
        title = f"{self.recipe.name}, seed {seed}"
        with progress_bar(last, title=title, show=self.progress, unit="epoch") as bar:
            for epoch in range(1, last + 1):
                started = time.process_time()
                for _ in range(each):
                    rows, drawn = next(order)
                    given = data.augmented(rows, seed=drawn)
                    state, _ = engine.sgd_step_(state, given, lr=next(rates), seed=drawn)
                left.seconds += time.process_time() - started
                left.passes += 3 * each * batch / len(y)
                if left.recorder is not None:
                    told(engine, state, data, left.recorder, epoch)
                if keep and epoch in kept:
                    left.checkpoints.append(self.native(fresh, state))
                bar.advance("")
        left.model = self.native(fresh, state)
        return left


def told(engine: Any, state: Any, data: Views, recorder: gx.Recorder, epoch: int) -> None:
    """Tell a recorder the logits of all samples."""
    for start in range(0, len(data), BATCH):
        rows = np.arange(start, min(start + BATCH, len(data)))
        given = data.batch(rows)
        logits = to_numpy(engine.logits(state, given))
        recorder.add(rows, losses=to_numpy(engine.forward(state, given)), logits=logits,
                     labels=given[1])  # fmt: skip
    recorder.epoch(epoch)
