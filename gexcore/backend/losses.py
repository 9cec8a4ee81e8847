"""Losses: their names, their labels, and the refusals that all backends word alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from gexcore.errors import InvalidDataError, InvalidModelError

Loss = TypeVar("Loss")
Shape = object
"""A shape as an error shows it."""

IGNORED = -100
"""Label of an ignored position, as in PyTorch and Hugging Face's models."""

OWN = "a function (output, target) -> losses of shape (b,)"
"""The user's own loss, in the words of an error."""


def named(loss: object, known: Mapping[str, Loss], *, own: str = OWN) -> Loss | None:
    """The named loss, the first one for None, and None for a callable.

    Raises
    ------
    InvalidModelError
        If the name is unknown.
    """
    if loss is None:
        return next(iter(known.values()))
    if isinstance(loss, str) and loss in known:
        return known[loss]
    if callable(loss):
        return None
    raise unknown_loss(loss, known, own=own)


def unknown_loss(loss: object, known: Mapping[str, object], *, own: str = OWN) -> InvalidModelError:
    """The refusal of an unknown loss."""
    return InvalidModelError(f"no loss named {loss!r}; allowed are {', '.join(known)}, and {own}")


def scores_of(output: Any) -> Any:
    """The model's output, or its `logits` if it has them."""
    if isinstance(output, Mapping) and "logits" in output:
        return output["logits"]
    return getattr(output, "logits", output)


def check_labels(labels: NDArray[Any], classes: int, *, ignored: int | None = IGNORED) -> None:
    """Refuse integer labels outside 0 … K−1 that are not ignored. Probabilities pass.

    Raises
    ------
    InvalidDataError
        If a label is outside. The error names the first one.
    """
    if labels.dtype.kind not in "iu" or not labels.size:
        return
    if labels.min() >= 0 and labels.max() < classes:  # the usual case, in two passes
        return
    bad = (labels < 0) | (labels >= classes)
    bad &= True if ignored is None else labels != ignored
    if bad.any():
        raise label_outside(int(labels[bad][0]), classes)


def check_probabilities(targets: NDArray[Any]) -> None:
    """Refuse targets of binary cross-entropy outside 0 … 1.

    Raises
    ------
    InvalidDataError
    """
    if not np.all((targets >= 0) & (targets <= 1)):
        raise targets_outside()


def label_outside(label: int, classes: int) -> InvalidDataError:
    """The refusal of a label that is no class of the model."""
    return InvalidDataError(
        f"label {label} is outside 0 … {classes - 1}, the {classes} classes of the model; "
        "recode the labels"
    )


def targets_outside() -> InvalidDataError:
    """The refusal of targets that are no probabilities."""
    return InvalidDataError(
        "binary_cross_entropy got targets outside 0 … 1; only 0, 1 and probabilities are "
        "allowed: map -1 to 0"
    )


def one_score(scores: Shape) -> InvalidModelError:
    """The refusal of an output with fewer than two classes."""
    return InvalidModelError(
        "cross_entropy needs scores of shape (b, K), two classes or more, and the model returned "
        f"{scores}; use loss='binary_cross_entropy' for a single score, 'squared_error' for "
        "regression"
    )


def wrong_labels(labels: Shape, scores: Shape) -> InvalidDataError:
    """The refusal of integer labels with a shape that does not fit."""
    return InvalidDataError(
        f"cross_entropy got labels of shape {labels} for scores of shape {scores}; give one label "
        "per sample, or one per position"
    )


def wrong_probabilities(dtype: object, targets: Shape, scores: Shape) -> InvalidDataError:
    """The refusal of floating targets that are no rows of probabilities."""
    return InvalidDataError(
        f"cross_entropy got {dtype} targets of shape {targets} for scores of shape {scores}; give "
        "integer labels or probabilities of shape (b, K), or use loss='squared_error' for "
        "regression"
    )


def wrong_targets(name: str, targets: Shape, outputs: Shape) -> InvalidDataError:
    """The refusal of targets that do not fit the outputs one by one."""
    return InvalidDataError(
        f"{name} got targets of shape {targets} for outputs of shape {outputs}; give one target "
        "per output"
    )


def no_scores(output: object, name: str) -> InvalidModelError:
    """The refusal of an output that is no array."""
    return InvalidModelError(
        f"the model returned {type(output).__name__}, and {name} needs one array, alone or as "
        "logits; wrap the model, or give loss= a function of that output"
    )


def no_targets(kind: object, name: str) -> InvalidDataError:
    """The refusal of targets that are no array of numbers."""
    return InvalidDataError(
        f"the targets are of type {kind}, and {name} needs one array of numbers; give arrays"
    )


def wrong_losses(losses: Shape | None, samples: object) -> InvalidModelError:
    """The refusal of the result of a user's loss; a shape of None is one number."""
    found = "one number" if losses is None else f"shape {losses}"
    return InvalidModelError(
        f"the loss returned {found} for {samples} samples; it must return shape ({samples},): "
        "leave the mean out"
    )
