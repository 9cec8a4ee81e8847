"""One pass over the data at θ*: losses, targets, and every check that needs them."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gexcore.backend.capabilities import supports
from gexcore.backend.classes import class_scores, softmax
from gexcore.backend.data import targets_of, to_numpy
from gexcore.backend.losses import IGNORED
from gexcore.backend.protocols import Backend, Dataset, SupportsLogits
from gexcore.errors import GexError, InvalidDataError, InvalidModelError
from gexcore.evaluation.losses import checked, gather, in_order

NEAR = 0.02
"""A probability may differ this much from exp(−loss): losses can be of half precision."""


@dataclass(frozen=True)
class FirstLook:
    """The findings of one pass over the data.

    Parameters
    ----------
    losses : array, shape (samples,)
        Losses of the model as it was given, in evaluation mode.
    targets : array, shape (samples, …), or None
        Targets. None if gexcore finds no targets in the batches.
    labels : integer array, shape (samples,), or None
        Given classes, if the targets are classes. A soft label counts as its most probable class.
    classes : int or None
        Number of classes K: the width of the logits, or the largest label plus one.
    likelihood : bool
        Whether exp(−loss) is the probability of the given class. Without logits it is taken to be.
    several : boolean array, shape (samples, labels), or None
        Given labels, if each sample has several: zeros and ones of `"binary_cross_entropy"`.
    """

    losses: NDArray[Any]
    targets: NDArray[Any] | None
    labels: NDArray[np.intp] | None
    classes: int | None
    likelihood: bool = True
    several: NDArray[np.bool_] | None = None


def first_look(
    backend: Backend[Any, Any], data: Dataset[Any], *, loss: object = None, batch_size: int = 512
) -> FirstLook:
    """Score the data once at θ* and check it.

    Raises
    ------
    InvalidDataError
        If labels are no classes of the model.
    InvalidModelError
        If the loss is not one finite number per sample.
    """
    state = backend.initial_state()
    by_class = loss == "cross_entropy" or (loss is None and supports(backend, SupportsLogits))
    parts, targets, width, logits = [], [], None, None
    for number, indices in enumerate(in_order(len(data), batch_size)):
        batch = data.batch(indices)
        target = targets_of(batch)
        if by_class and target is not None:
            _check_kind(target)
        if number == 0 and supports(backend, SupportsLogits):
            with understandable(batch):
                logits = backend.logits(state, batch)
            width = _width(logits, len(indices))
        if target is not None:
            if by_class:
                _check_range(target, width, start=int(indices[0]))
            _check_finite(target, start=int(indices[0]))
            targets.append(target)
        with understandable(batch):
            parts.append(checked(backend.forward(state, batch), len(indices)))
    losses = gather(parts)
    if not np.isfinite(losses).all():
        bad = ~np.isfinite(losses)
        msg = (
            f"the trained model's loss is not finite for {int(bad.sum())} of {len(losses)} "
            f"samples, first at position {int(bad.argmax())}; a model that works has finite "
            "losses: check the weights and the inputs"
        )
        raise InvalidModelError(msg)
    everything = np.concatenate(targets) if targets else None
    labels = None
    if everything is not None and loss != "squared_error":
        labels = _labels(everything, binary=loss == "binary_cross_entropy")
    classes = width if labels is not None else None
    if labels is not None and width is None:
        classes = int(labels.max()) + 1
    likelihood = labels is None or logits is None or _is_likelihood(logits, labels, losses)
    several = None
    if everything is not None and labels is None and loss == "binary_cross_entropy":
        several = _several(everything)
    return FirstLook(losses, everything, labels, classes, likelihood, several)


@contextmanager
def understandable(batch: Any) -> Iterator[None]:
    """A block that runs the user's model and loss on a batch.

    Raises
    ------
    InvalidDataError
        In place of an error from the model or the loss.
    """
    try:
        yield
    except (GexError, MemoryError):
        raise
    except Exception as error:
        told = textwrap.shorten(" ".join(str(error).split()), 160, placeholder=" …")
        msg = (
            f"the model cannot take this batch of the data ({type(error).__name__}: {told}); it "
            f"holds {_described(batch)}: give inputs and targets as in the model's training"
        )
        raise InvalidDataError(msg) from error


def _described(batch: Any) -> str:
    named = batch.items() if isinstance(batch, Mapping) else [("", batch)]
    if isinstance(batch, tuple | list):
        named = [("", part) for part in batch]
    told = [f"{name} {_shape(part)}".strip() for name, part in list(named)[:5]]
    return ", ".join(told)


def _shape(part: Any) -> str:
    shape = getattr(part, "shape", None)
    if shape is None:
        return type(part).__name__
    return f"{tuple(shape)} of {str(getattr(part, 'dtype', '')).removeprefix('torch.')}"


def _check_finite(target: NDArray[Any], *, start: int) -> None:
    """Refuse targets that are not finite."""
    if target.dtype.kind != "f" or np.isfinite(target).all():
        return
    bad = ~np.isfinite(target.reshape(len(target), -1)).all(axis=1)
    msg = (
        f"the target is not finite for {int(bad.sum())} of these {len(bad)} samples, first at "
        f"position {start + int(bad.argmax())}; leave those samples out"
    )
    raise InvalidDataError(msg)


def _is_likelihood(logits: Any, labels: NDArray[np.intp], losses: NDArray[Any]) -> bool:
    """Whether exp(−loss) is the probability of the given class, for the samples of the logits."""
    first = len(to_numpy(logits))
    scores = class_scores(to_numpy(logits), first)
    given = labels[:first]
    if given.max() >= scores.shape[1]:
        return False
    p = softmax(scores)[np.arange(first), given]
    return bool(np.allclose(p, np.exp(-losses[:first].astype(np.float64)), rtol=0.0, atol=NEAR))


def _width(logits: Any, size: int) -> int | None:
    shape = to_numpy(logits).shape
    return shape[1] if len(shape) == 2 and shape[0] == size and shape[1] > 1 else None


def _check_kind(target: NDArray[Any]) -> None:
    if target.dtype.kind == "f" and target.ndim == 1:
        msg = (
            "the labels are floats, and cross-entropy needs integer classes 0 … K−1 (or one row of "
            "class probabilities per sample); convert them, or name another loss such as "
            "loss='squared_error'"
        )
        raise InvalidDataError(msg)
    if target.ndim == 2 and target.dtype.kind in "bf" and _several_ones(target):
        msg = (
            "the targets are rows of zeros and ones that do not sum to 1, so samples have several "
            "labels, and cross-entropy takes one; name loss='binary_cross_entropy'"
        )
        raise InvalidDataError(msg)
    if target.dtype.kind not in "iuf":
        msg = (
            f"the labels are of type {target.dtype}, and cross-entropy needs integers 0 … K−1; "
            "encode the classes as numbers"
        )
        raise InvalidDataError(msg)


def _several_ones(target: NDArray[Any]) -> bool:
    return bool(np.isin(target, (0, 1)).all() and (target.sum(axis=1) != 1).any())


def _check_range(target: NDArray[Any], width: int | None, *, start: int) -> None:
    if target.dtype.kind in "iu" and target.ndim == 1 and width is not None:
        absent = int((target == IGNORED).sum())
        if absent:
            first = start + int((target == IGNORED).argmax())
            msg = (
                f"{absent} labels are {IGNORED}, which marks samples without a label, first at "
                f"position {first}; leave those samples out"
            )
            raise InvalidDataError(msg)
        bad = target[(target < 0) | (target >= width)]
        if len(bad):
            msg = (
                f"label {bad[0]} is outside 0 … {width - 1}, the model's {width} classes; "
                "renumber the labels or check the model"
            )
            raise InvalidDataError(msg)


def _labels(targets: NDArray[Any], *, binary: bool) -> NDArray[np.intp] | None:
    if targets.ndim == 2 and targets.shape[1] == 1 and targets.dtype.kind in "iu" and not binary:
        targets = targets[:, 0]
    if binary and targets.size == len(targets) and np.isin(targets, (0, 1)).all():
        return targets.reshape(-1).astype(np.intp)
    if targets.ndim == 1 and targets.dtype.kind in "iub":
        return targets.astype(np.intp) if targets.min() >= 0 else None
    if targets.ndim == 2 and targets.dtype.kind == "f" and targets.shape[1] > 1:
        sums = targets.sum(axis=1)
        return targets.argmax(axis=1) if np.allclose(sums, 1.0, atol=1e-3) else None
    return None


def _several(targets: NDArray[Any]) -> NDArray[np.bool_] | None:
    if targets.ndim != 2 or targets.shape[1] < 2 or not np.isin(targets, (0, 1)).all():
        return None
    return targets.astype(bool)
