"""Cleaned training sets: which samples stay, and their targets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from gexcore.decisions.prune import refuse_vanished
from gexcore.decisions.relabel import (
    check_labels,
    relabel_argmax,
    relabel_complementary,
    relabel_distill,
    relabel_eq16,
)
from gexcore.errors import InvalidDataError, InvalidSettingError

Treatment = Literal["argmax_or_drop", "argmax", "other", "eq16", "distill", "complementary", "drop"]
"""Treatment of suspects."""

METHODS: tuple[Treatment, ...] = get_args(Treatment)
RELABELLINGS = METHODS[:-1]
"""Methods that need predictions for the suspects. The first is the default."""


class Predictions(NamedTuple):
    """Predictions of the classes of some samples.

    Parameters
    ----------
    logits : array, shape (samples, K)
        Logits of the trained model θ*, as it was given.
    probabilities : array, shape (samples, K)
        Class probabilities, averaged over members.
    suggested : integer array, shape (samples,), optional
        The class that each label most probably came from, if it is wrong. Without it the most
        probable other class by the members is taken.
    """

    logits: NDArray[Any]
    probabilities: NDArray[Any]
    suggested: NDArray[np.intp] | None = None

    def at(self, rows: NDArray[np.intp]) -> Predictions:
        """The predictions for some of the samples."""
        suggested = None if self.suggested is None else self.suggested[rows]
        return Predictions(self.logits[rows], self.probabilities[rows], suggested)


@dataclass(frozen=True, eq=False, repr=False)
class Cleaned:
    """A training set with treated suspects: train on ``x[indices]`` towards `targets`.

    Parameters
    ----------
    indices : integer array, shape (kept,)
        Positions in the original data, ascending.
    targets : array
        Classes, shape (kept,), or rows of soft targets, shape (kept, K), in float64.
    changed : integer array
        Positions in the original data, ascending, of samples that got a new target or were left
        out.
    method : str
    """

    indices: NDArray[np.intp]
    targets: NDArray[Any]
    changed: NDArray[np.intp]
    method: str

    def __len__(self) -> int:
        return len(self.indices)

    def __repr__(self) -> str:
        kind = (
            "classes"
            if self.targets.ndim == 1
            else f"soft targets of {self.targets.shape[1]} classes"
        )
        return (
            f"<Cleaned by {self.method}: {len(self)} samples kept, {len(self.changed)} changed "
            f"or left out; {kind}>"
        )

    @property
    def weights(self) -> NDArray[np.float64]:
        """Sum of each sample's soft targets, shape (kept,); 1 for a class.

        Eq. 16 gives rows that sum to less than one. The cross-entropy of some frameworks, such as
        Keras, expects a sum of one. Give it ``targets / weights[:, None]``, and these sums as
        sample weights.
        """
        return (
            np.ones(len(self)) if self.targets.ndim == 1 else np.asarray(self.targets.sum(axis=1))
        )


def clean(
    labels: Any, suspects: Any, method: str, predictions: Predictions | None = None
) -> Cleaned:
    """Drop the suspects of a training set, or give them new targets.

    Parameters
    ----------
    labels : integer array, shape (samples,)
        Given classes.
    suspects : integer array
        Distinct positions.
    method : {"argmax_or_drop", "argmax", "other", "eq16", "distill", "complementary", "drop"}
        "argmax_or_drop", "argmax" and "other" give the suggested class. They differ where the given
        class is still the most probable one by the members: "argmax_or_drop" drops such suspects,
        "argmax" keeps them as they are, and "other" gives them the suggested class too. "eq16"
        gives Eq. 16 from the logits of θ*. "distill" gives the probabilities of the members.
        "complementary" gives the probabilities of θ* without the given class. "drop" drops all
        suspects.
    predictions : Predictions
        Predictions for the suspects, row by row. "drop" needs none.

    Raises
    ------
    InvalidDataError
        If labels, positions or predictions do not fit together.
    InvalidSettingError
        If the method is unknown, or a class would vanish.

    Examples
    --------
    >>> import numpy as np
    >>> from gexcore.decisions.clean import clean
    >>> clean(np.array([0, 1, 1, 0]), [2], "drop").indices
    array([0, 1, 3])
    """
    if method not in METHODS:
        raise InvalidSettingError(
            f"no relabelling named {method!r}; allowed are {', '.join(METHODS)}"
        )
    labels, suspects = np.asarray(labels), positions(suspects, len(labels))
    if method == "drop":
        kept = np.setdiff1d(np.arange(len(labels)), suspects)
        refuse_vanished(labels, kept, remedy="relabel instead of dropping, or drop fewer")
        return Cleaned(kept, labels[kept], np.sort(suspects), method)
    if predictions is None or len(predictions.logits) != len(suspects):
        told = "none" if predictions is None else f"{len(predictions.logits)} rows"
        raise InvalidDataError(
            f"{method} needs predictions for the {len(suspects)} suspects, and got {told}"
        )
    classes = predictions.logits.shape[1]
    check_labels(labels, classes)
    everything = np.arange(len(labels))
    if method not in ("argmax_or_drop", "argmax", "other"):
        targets = np.eye(classes)[labels]
        targets[suspects] = _soft_targets(method, labels[suspects], predictions)
        return Cleaned(everything, targets, np.sort(suspects), method)
    targets, given = labels.copy(), labels[suspects]
    suggested = _suggested(predictions, given)
    if method != "other":
        believed = relabel_argmax(predictions.probabilities) == given
        suggested = np.where(believed, given, suggested)
    targets[suspects] = suggested
    moved = targets != labels
    if method != "argmax_or_drop":
        return Cleaned(everything, targets, np.flatnonzero(moved), method)
    kept = np.setdiff1d(everything, suspects[~moved[suspects]])
    refuse_vanished(labels, kept, remedy="relabel by another method, or clean fewer")
    return Cleaned(kept, targets[kept], np.sort(suspects), method)


def _suggested(predictions: Predictions, given: NDArray[Any]) -> NDArray[Any]:
    """The suggested class of each suspect, which is never the given one."""
    found = predictions.suggested
    if found is None:
        return np.asarray(relabel_argmax(predictions.probabilities, given))
    check_labels(found, predictions.logits.shape[1])
    if len(found) != len(given) or (found == given).any():
        raise InvalidDataError(
            "the suggested labels are not one other class for each suspect; leave them out, or "
            "give those of suggested_labels()"
        )
    return found


def _soft_targets(method: str, given: NDArray[Any], predictions: Predictions) -> NDArray[Any]:
    if method == "distill":
        return np.asarray(relabel_distill(predictions.probabilities))
    rows = {"eq16": relabel_eq16, "complementary": relabel_complementary}[method]
    return np.asarray(rows(predictions.logits, given))


def positions(suspects: Any, samples: int) -> NDArray[np.intp]:
    """Distinct positions 0 … samples − 1, checked.

    Raises
    ------
    InvalidDataError
    """
    found = np.asarray(suspects)
    if not len(found):
        return np.empty(0, np.intp)
    if found.ndim != 1 or found.dtype.kind not in "iu" or len(np.unique(found)) < len(found):
        raise InvalidDataError("these are not distinct positions; give one integer for each sample")
    if found.min() < 0 or found.max() >= samples:
        wrong = found[(found < 0) | (found >= samples)][0]
        raise InvalidDataError(
            f"position {wrong} is outside 0 … {samples - 1}; give positions in the data"
        )
    return found.astype(np.intp)
