"""Heavy models: a step takes milliseconds, so a run keeps to a part of a short training."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from gexcore.ensembles.plan import Plan
from gexcore.ensembles.relearner import RISE, Search
from gexcore.ensembles.relearning import Relearning
from gexcore.ensembles.resolve import batch_size_of
from gexcore.ensembles.search import Trials
from gexcore.ensembles.start import Shrunk
from gexcore.ensembles.storage import Found, Storage
from gexcore.evaluation.opening import Opened
from gexcore.evaluation.passes import Passes, sum_passes
from gexcore.settings import Auto

HEAVY = 3e7
"""Multiplications of a step from which on a model is heavy: some milliseconds of one core."""

LR = 2e-3
"""Learning rate of the short run, which has no search."""

EARLY = 0.25
"""Skill in the second half of a trial epoch from which on the model relearns fast."""

NEARER = 0.5
"""Scale of the start state for a model that does not relearn fast."""

INSTEAD = (35.0, 50.0, 70.0)
"""Budgets of a geometric ensemble that has to replace the short run, in passes over the data."""


def is_heavy(opened: Opened, batch_size: int | Auto = "auto") -> bool:
    """Whether a training step takes milliseconds.

    The answer depends on the number of parameters and on the shape of a sample, not on a clock. So
    the same settings give the same plan on every machine.

    Parameters
    ----------
    opened : Opened
        Its backend needs `SupportsParams`.
    batch_size : int or "auto"
        Samples of a step.

    Examples
    --------
    >>> import numpy as np
    >>> from gexcore.ensembles.heavy import is_heavy
    >>> from gexcore.evaluation.opening import opened
    >>> from gexcore_numpy import MLP
    >>> data = np.zeros((600, 64), np.float32), np.arange(600) % 10
    >>> is_heavy(opened(MLP.init((64, 128, 10), seed=0), data, progress=False))
    False
    """
    return multiplications(opened, batch_size) >= HEAVY


@dataclass(frozen=True, kw_only=True)
class ShortRelearning(Relearning):
    """Relearning in 11 passes over the data: a trial epoch, and one chain of two epochs by AdamW.

    12 epochs of training are 36 passes. The trial epoch starts at the usual scale. Chains start
    there too if the model has relearned fast, and at half of θ* if not. AdamW at one learning rate
    needs no search, and relearns transformers too.

    Examples
    --------
    >>> from gexcore.ensembles.heavy import ShortRelearning
    >>> ShortRelearning().epochs, ShortRelearning().optimizer
    (2, 'adamw')
    """

    chains: int | Auto = 1
    epochs: int | Auto = 2
    lr: float | Auto = LR
    optimizer: Literal["sgd", "adamw"] | Callable[..., Any] = "adamw"

    def planned(self, plan: Plan, n: int) -> Passes:
        """The passes of a run over so many samples, with the trial."""
        trial = Passes(step=(plan.epoch_steps or 0) * plan.batch_size)
        return sum_passes([super().planned(plan, n), trial])

    @property
    def _searches(self) -> bool:
        return True

    def _how_found(self) -> list[Any]:
        return [*super()._how_found(), "trial"]

    def _found(self, trials: Trials, start: Shrunk, storage: Storage) -> Found:
        chance = trials.skill.chance
        search = Search(float(self.lr), chance, trials=1, leaves=EARLY)

        def tried() -> Found:
            heat = replace(trials, controller=search).epoch(start)
            return Found(
                start.scale if heat.left else NEARER,
                search.lr,
                RISE * chance,
                steps=trials.plan.epoch_steps or 0,
            )

        return storage.found(tried)


def short(usual: Relearning) -> Relearning:
    """The relearning of a heavy model; a limit of the user pays for its own number of epochs."""
    shared = {name: getattr(usual, name) for name in ("batch_size", "chance_loss", "seed")}
    if usual.budget == "auto" and usual.pretraining_epochs is None:
        return ShortRelearning(**shared)
    return replace(usual, optimizer="adamw", lr=LR, scale=NEARER)


def multiplications(opened: Opened, batch_size: int | Auto = "auto") -> float:
    """Parameters × places of a sample × samples of a step: an upper estimate of its work.

    Each parameter is counted at each place of a sample: each token of a text, each pixel of an
    image. A flat row of numbers is one place.
    """
    n = len(opened.data)
    size = batch_size_of(n) if isinstance(batch_size, str) else batch_size
    places = max(map(places_of, _columns(opened.data.batch(np.arange(1)))), default=1)
    return float(opened.size) * places * size


def places_of(column: Any) -> int:
    """Places of a sample at which a model may use its parameters.

    Parameters
    ----------
    column : array, shape (1, …)

    Examples
    --------
    >>> import numpy as np
    >>> from gexcore.ensembles.heavy import places_of
    >>> places_of(np.zeros((1, 64))), places_of(np.zeros((1, 3, 32, 32)))
    (1, 1024)
    >>> places_of(np.zeros((1, 40), int))  # a text of 40 tokens
    40
    """
    shape = tuple(int(length) for length in column.shape[1:])
    whole = "int" in str(column.dtype)
    if not shape or 0 in shape or (len(shape) == 1 and not whole):
        return 1
    return math.prod(shape) // (1 if whole else min(shape))


def _columns(batch: Any) -> Iterator[Any]:
    if isinstance(batch, Mapping):
        batch = list(batch.values())
    if isinstance(batch, tuple | list):
        for part in batch:
            yield from _columns(part)
    elif hasattr(batch, "shape") and hasattr(batch, "dtype") and len(batch.shape):
        yield batch
