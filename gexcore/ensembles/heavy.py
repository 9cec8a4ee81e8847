"""Heavy models: a step takes milliseconds, so a run keeps to a part of a short training."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from gexcore.ensembles.budget import PART_OF_PRETRAINING
from gexcore.ensembles.relearning import Relearning
from gexcore.ensembles.relearning_plans import plans
from gexcore.ensembles.resolve import batch_size_of
from gexcore.errors import InvalidSettingError
from gexcore.evaluation.opening import Opened
from gexcore.evaluation.passes import Passes
from gexcore.settings import Auto

HEAVY = 3e7
"""Multiplications of a step from which on a model is heavy: some milliseconds of one core."""

EPOCHS = 3
"""Epochs of the short run: with the trial and two passes over θ*, less than 35 % of 12 epochs."""

LR = 2e-3
"""Learning rate of the short run by AdamW, which has no search."""

SCALES = (0.2, 0.4)
"""Scales of the start state. From 0.2 some transformers do not relearn in three epochs."""

SCALE_OF_LIMITED = 0.5
"""Scale of the start state under a limit of the user that does not pay for the short run."""

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


def from_reference(usual: Relearning) -> Relearning:
    """The usual chains by AdamW, with a search of its learning rate: for texts and images.

    Pretrained weights are tuned at rates far below that of the short run. SGD found none for a
    pretrained transformer, and one chain ranked worse than two.
    """
    return replace(usual, optimizer="adamw")


def short(usual: Relearning, opened: Opened) -> Relearning:
    """One chain of three epochs, at 12.5 passes over the data by AdamW.

    AdamW needs no search of its learning rate, and relearns transformers too. A limit that pays for
    this run takes it: more epochs ranked no better. A smaller limit pays for its own number of
    epochs, from nearer to θ*. By "sgd" it is one chain of the usual run after its search, at up to
    21.5 passes: three epochs ranked worse.
    """
    limited = usual.budget != "auto" or usual.pretraining_epochs is not None
    if usual.optimizer == "sgd":
        return usual if limited else replace(usual, chains=1)
    method = replace(usual, optimizer="adamw", lr=LR)
    whole = replace(method, scale=SCALES, chains=1, epochs=EPOCHS)
    if not limited or _is_paid(whole, opened):
        return whole
    return replace(method, scale=SCALE_OF_LIMITED)


def _is_paid(method: Relearning, opened: Opened) -> bool:
    """Whether the limit of the user pays for the only plan of a method."""
    if method.budget == "auto":
        ((_, cost),) = plans(method.asked(), len(opened.data))
        trained = Passes(step=1).epochs(1) * (method.pretraining_epochs or 0.0)
        return cost.epochs(len(opened.data)) <= PART_OF_PRETRAINING * trained
    try:
        method.plan(opened)
    except InvalidSettingError:
        return False
    return True


def multiplications(opened: Opened, batch_size: int | Auto = "auto") -> float:
    """Parameters × places of a sample × samples of a step: an upper estimate of its work.

    Each parameter is counted at each place of a sample: each token of a text, each pixel of an
    image. A flat row of numbers is one place. Frozen parameters count, because a step runs them.
    """
    n = len(opened.data)
    size = batch_size_of(n) if isinstance(batch_size, str) else batch_size
    return float(opened.model_size) * places(opened) * size


def places(opened: Opened) -> int:
    """Places of a sample at which a model may use its parameters: the most of all columns."""
    return max(map(places_of, _columns(opened.data.batch(np.arange(1)))), default=1)


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
