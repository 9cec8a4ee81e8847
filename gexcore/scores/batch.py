"""Batches of a training loop, checked and measured."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from gexcore.backend.classes import class_scores
from gexcore.backend.data import to_numpy
from gexcore.errors import InvalidDataError
from gexcore.scores.classes import error_norms, margins

Curve = Literal["losses", "errors", "margins", "correct"]
"""Names of curves.

"losses" are losses. "errors" are ‖p − y‖₂. "margins" are the score of the given class minus the
largest other score. "correct" is 1 for a positive margin, else 0.
"""

CURVES: tuple[Curve, ...] = get_args(Curve)


class RecordedBatch(NamedTuple):
    """The measurements of one batch.

    Parameters
    ----------
    indices : integer array, shape (b,)
    labels : integer array, shape (b,), or None
    curves : dict of arrays, shape (b,)
        Some of `CURVES`.
    """

    indices: NDArray[np.intp]
    labels: NDArray[np.intp] | None
    curves: dict[Curve, NDArray[np.float32]]


def read_batch(
    indices: Any, losses: Any, logits: Any, labels: Any, *, samples: int
) -> RecordedBatch:
    """Check one batch of a training loop, for `gexcore.scores.recorder.Recorder.add`.

    Raises
    ------
    InvalidDataError
    """
    at = _positions(indices, samples)
    if losses is None and logits is None:
        raise InvalidDataError(
            "a batch was added with neither losses nor logits; give at least one of them"
        )
    if logits is not None and labels is None:
        raise InvalidDataError(
            "logits were added without labels, and say nothing of a label alone; give labels=..."
        )
    given = None if labels is None else _labels(labels, len(at))
    curves: dict[Curve, NDArray[Any]] = {}
    if losses is not None:
        curves["losses"] = _finite("losses", _losses(losses, len(at)), at)
    if logits is not None and given is not None:
        scores = _finite("logits", _scores(logits, given), at)
        margin = margins(scores, given)
        curves |= {"errors": error_norms(scores, given), "margins": margin, "correct": margin > 0}
    return RecordedBatch(
        at, given, {name: curve.astype(np.float32) for name, curve in curves.items()}
    )


def refuse_conflicts(
    batch: RecordedBatch, seen: NDArray[np.bool_], known: NDArray[np.intp]
) -> None:
    """Refuse a batch with samples of this epoch, or with changed labels (−1: not known).

    Raises
    ------
    InvalidDataError
    """
    again = batch.indices[seen[batch.indices]]
    if len(again):
        raise InvalidDataError(
            f"sample {again[0]} was added twice in one epoch; call epoch() before it comes again"
        )
    if batch.labels is None:
        return
    before = known[batch.indices]
    changed = (before >= 0) & (before != batch.labels)
    if changed.any():
        i = int(changed.argmax())
        told = f"was {before[i]} and is now {batch.labels[i]}"
        msg = (
            f"the label of sample {batch.indices[i]} {told}; give positions in the training set, "
            "not in the epoch"
        )
        raise InvalidDataError(msg)


def never_told(curve: Curve, *, by: str) -> str:
    """The error sentence for a curve without data."""
    needs, how = (
        ("losses", "losses=...") if curve == "losses" else ("logits", "logits=..., labels=...")
    )
    return (
        f"{by} needs {needs}, and none were recorded; tell them in the training loop: "
        f"add(indices, {how})"
    )


def _positions(indices: Any, samples: int) -> NDArray[np.intp]:
    at = to_numpy(indices)
    if at.ndim != 1 or not len(at) or at.dtype.kind not in "iu":
        msg = (
            f"indices have shape {at.shape} and type {at.dtype}; give the integer position of "
            "each sample of the batch"
        )
        raise InvalidDataError(msg)
    outside = at[(at < 0) | (at >= samples)]
    if len(outside):
        msg = (
            f"index {outside[0]} is outside 0 … {samples - 1}; give positions in the training "
            f"set of {samples} samples"
        )
        raise InvalidDataError(msg)
    found, count = np.unique(at, return_counts=True)
    if (count > 1).any():
        raise InvalidDataError(
            f"sample {found[count.argmax()]} is in one batch twice; add each sample once per epoch"
        )
    return at.astype(np.intp)


def _losses(losses: Any, size: int) -> NDArray[Any]:
    found = to_numpy(losses)
    if found.shape != (size,):
        msg = (
            f"losses have shape {found.shape} for {size} indices; give one number per sample, "
            f"shape ({size},): leave the reduction out of the loss (reduction='none')"
        )
        raise InvalidDataError(msg)
    return found


def _labels(labels: Any, size: int) -> NDArray[np.intp]:
    found = to_numpy(labels)
    if found.size != size or found.shape[:1] != (size,):
        msg = (
            f"labels have shape {found.shape} for {size} indices; give one class per sample, "
            f"shape ({size},)"
        )
        raise InvalidDataError(msg)
    # binary cross-entropy has its classes as floats
    if (
        found.dtype.kind not in "iubf"
        or not ((found >= 0) & (found < np.inf) & (found == np.floor(found))).all()
    ):
        raise InvalidDataError("some labels are no classes; give integers from 0 up")
    return found.reshape(-1).astype(np.intp)


def _scores(logits: Any, labels: NDArray[np.intp]) -> NDArray[np.float64]:
    found, size = to_numpy(logits), len(labels)
    if found.ndim not in (1, 2) or len(found) != size or not found.size:
        msg = (
            f"logits have shape {found.shape} for {size} indices; give one row of class scores "
            f"per sample, shape ({size}, K)"
        )
        raise InvalidDataError(msg)
    scores = class_scores(found, size)
    if labels.max() >= scores.shape[1]:
        msg = (
            f"label {labels.max()} is outside 0 … {scores.shape[1] - 1}, the {scores.shape[1]} "
            "classes of the logits; renumber the labels"
        )
        raise InvalidDataError(msg)
    return scores


def _finite(kind: str, values: NDArray[Any], at: NDArray[np.intp]) -> NDArray[Any]:
    unknown = ~np.isfinite(values).reshape(len(at), -1).all(axis=1)
    if unknown.any():
        msg = (
            f"the {kind} of {int(unknown.sum())} samples are not finite, first of sample "
            f"{at[unknown.argmax()]}; a training that works has finite ones: leave those samples "
            "out, or repair the training"
        )
        raise InvalidDataError(msg)
    return values
