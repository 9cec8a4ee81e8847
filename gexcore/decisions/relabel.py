"""New targets for samples with wrong labels: pure functions on arrays of any library.

Functions take logits f (samples × K). φ = softmax(f) are the probabilities of the trained model,
and m is the given label. No function computes φ itself. A memorised wrong label has φ_m = 1 in
float32, and the lost digits are those that count.
"""

from __future__ import annotations

from typing import Any

from array_api_compat import array_namespace, device

from gexcore.backend.protocols import Array
from gexcore.errors import InvalidDataError

SUM_TOLERANCE = 1e-3
"""Tolerance of the sum of a row of probabilities: half precision needs it."""

TINY = -40.0
"""Number x below which log(1 + eˣ) equals eˣ in double precision."""


def relabel_eq16(logits: Array, labels: Array, *, renormalize: bool = False) -> Array:
    """ỹ_k = log(1 − φ_m) / ((K − 1) log φ_k) for k ≠ m, ỹ_m = 0 (Eq. 16), shape (samples, K).

    Parameters
    ----------
    logits : float array, shape (samples, K)
        Logits of the trained model, or its log-probabilities.
    labels : integer array, shape (samples,)
        Given classes.
    renormalize : bool
        Whether every row sums to one. By default 0 ≤ ỹ_k ≤ 1/(K − 1). A sample that the model
        confidently puts elsewhere then counts about 1/(K − 1): it is almost dropped.

    Raises
    ------
    InvalidDataError
        If logits are not finite, classes are fewer than two, or labels are outside 0 … K − 1.

    Notes
    -----
    The cross-entropy −Σ ỹ_k log φ_k is −log(1 − φ_m), see `complementary_loss`.

    Examples
    --------
    >>> import numpy as np
    >>> from gexcore.decisions.relabel import relabel_eq16
    >>> memorised = np.array([[90.0, 0.0, 0.0]], np.float32)  # φ_m = 1
    >>> relabel_eq16(memorised, np.array([0])).round(2)
    array([[0. , 0.5, 0.5]], dtype=float32)
    """
    xp, given = _checked(logits, labels)
    odds = _log_odds_against(xp, logits)
    costs = _log_softplus(xp, odds)  # log(−log φ_k)
    if renormalize:
        return _softmax(xp, -costs, given)
    cost_of_not_m = _log_softplus(xp, -_of_given(xp, odds, given))
    excess = cost_of_not_m[:, None] - costs
    excess = xp.where(excess > 0, xp.zeros_like(excess), excess)  # 1 − φ_m ≥ φ_k, but for rounding
    return xp.where(given, xp.zeros_like(excess), xp.exp(excess) / (logits.shape[1] - 1))


def relabel_complementary(logits: Array, labels: Array) -> Array:
    """ỹ_k = φ_k / (1 − φ_m) for k ≠ m: the probabilities without the given class.

    The rows sum to one. At the trained model their cross-entropy has the gradient of the
    complementary loss −log(1 − φ_m). It is nowhere below that loss. Parameters and errors are the
    same as for `relabel_eq16`.
    """
    xp, given = _checked(logits, labels)
    return _softmax(xp, logits, given)


def complementary_loss(logits: Array, labels: Array) -> Array:
    """−log(1 − p_m), shape (samples,): small if the model does *not* predict the given label.

    A training with this loss takes the logits of the current model. Parameters and errors are the
    same as for `relabel_eq16`.

    Examples
    --------
    >>> import numpy as np
    >>> from gexcore.decisions.relabel import complementary_loss
    >>> complementary_loss(np.array([[90.0, 0.0], [0.0, 90.0]]), np.array([0, 0])).round(3)
    array([90.,  0.])
    """
    xp, given = _checked(logits, labels)
    return _softplus(xp, -_of_given(xp, _log_odds_against(xp, logits), given))


def relabel_argmax(probabilities: Array, ruled_out: Array | None = None) -> Array:
    """The most probable class, shape (samples,). Between equals it is the first.

    Parameters
    ----------
    probabilities : float array, shape (samples, K)
        Class probabilities, best averaged over members. Members have forgotten some of what θ*
        memorised.
    ruled_out : integer array, shape (samples,), optional
        A class that the sample must not get, such as the given one.

    Raises
    ------
    InvalidDataError
        If numbers are no probabilities, rows do not sum to one, or labels are outside 0 … K − 1.
    """
    xp = check_probabilities(probabilities)
    if ruled_out is not None:
        check_labels(ruled_out, probabilities.shape[1])
        out = _one_hot(xp, ruled_out, probabilities)
        probabilities = xp.where(out, xp.full_like(probabilities, -1.0), probabilities)
    return xp.argmax(probabilities, axis=1)


def relabel_distill(probabilities: Array) -> Array:
    """The probabilities as soft targets, shape (samples, K), with row sums of exactly one.

    Parameters and errors are the same as for `relabel_argmax`.
    """
    xp = check_probabilities(probabilities)
    return probabilities / xp.sum(probabilities, axis=1, keepdims=True)


def check_probabilities(probabilities: Array) -> Any:
    """The array namespace of rows of K ≥ 2 class probabilities, or a refusal.

    Raises
    ------
    InvalidDataError
    """
    xp = array_namespace(probabilities)
    _check_width(probabilities, "probabilities")
    if not bool(xp.all(probabilities >= 0)):  # NaN must fail
        raise InvalidDataError(
            "some probabilities are negative or NaN; give one row of probabilities per sample"
        )
    sums = xp.sum(probabilities, axis=1)
    wrong = ~(xp.abs(sums - 1) <= SUM_TOLERANCE)
    if bool(xp.any(wrong)):
        row = int(xp.argmax(xp.astype(wrong, xp.int32)))
        msg = (
            f"the probabilities of sample {row} sum to {float(sums[row]):.4g}, and each row must "
            "sum to 1; apply the softmax to logits, or divide rows by their sums"
        )
        raise InvalidDataError(msg)
    return xp


def check_labels(labels: Array, classes: int) -> None:
    """Refuse labels that are not one integer 0 … classes − 1 per sample.

    Raises
    ------
    InvalidDataError
    """
    xp = array_namespace(labels)
    if labels.ndim != 1 or not xp.isdtype(labels.dtype, "integral"):
        msg = (
            f"labels are of shape {tuple(labels.shape)} and type {labels.dtype}; give one "
            f"integer 0 … {classes - 1} per sample"
        )
        raise InvalidDataError(msg)
    wrong = (labels < 0) | (labels >= classes)
    if bool(xp.any(wrong)):
        first = int(labels[int(xp.argmax(xp.astype(wrong, xp.int32)))])
        msg = (
            f"label {first} is outside 0 … {classes - 1}, the {classes} classes there are; "
            "renumber the labels"
        )
        raise InvalidDataError(msg)


def _checked(logits: Array, labels: Array) -> tuple[Any, Array]:
    """The namespace, and a mask of the given label of each row, shape (samples, K)."""
    xp = array_namespace(logits, labels)
    _check_width(logits, "logits")
    if not bool(xp.all(xp.isfinite(logits))):
        raise InvalidDataError(
            "some logits are not finite; give scores before the softmax, or clip log-probabilities"
        )
    check_labels(labels, logits.shape[1])
    if labels.shape[0] != logits.shape[0]:
        msg = (
            f"there are {labels.shape[0]} labels for {logits.shape[0]} rows of logits; give one "
            "label per row"
        )
        raise InvalidDataError(msg)
    return xp, _one_hot(xp, labels, logits)


def _check_width(array: Array, what: str) -> None:
    if array.ndim != 2 or array.shape[1] < 2:
        msg = (
            f"the {what} have shape {tuple(array.shape)}; give one row of two classes or more "
            "per sample, shape (samples, K)"
        )
        raise InvalidDataError(msg)


def _one_hot(xp: Any, classes: Array, like: Array) -> Array:
    every = xp.arange(like.shape[1], dtype=classes.dtype, device=device(like))
    return classes[:, None] == every[None, :]


def _of_given(xp: Any, values: Array, given: Array) -> Array:
    return xp.sum(xp.where(given, values, xp.zeros_like(values)), axis=1)


def _log_odds_against(xp: Any, logits: Array) -> Array:
    """log((1 − φ_k) / φ_k) = LSE_{j≠k} f_j − f_k, exact however close φ_k is to 0 or 1."""
    top = _one_hot(xp, xp.argmax(logits, axis=1), logits)
    highest = xp.max(logits, axis=1, keepdims=True)
    rest = xp.where(top, xp.full_like(logits, -xp.inf), logits)
    second = xp.max(rest, axis=1, keepdims=True)
    without_top = second + xp.log(xp.sum(xp.exp(rest - second), axis=1, keepdims=True))
    shares = xp.exp(rest - highest)  # the top class would have one
    others = xp.sum(shares, axis=1, keepdims=True) - shares
    without_k = highest + xp.log1p(xp.where(others > 0, others, xp.zeros_like(others)))
    return xp.where(top, without_top, without_k) - logits


def _softplus(xp: Any, x: Array) -> Array:
    return xp.where(x > 0, x, xp.zeros_like(x)) + xp.log1p(xp.exp(-xp.abs(x)))


def _log_softplus(xp: Any, x: Array) -> Array:
    small = x < TINY
    return xp.where(small, x, xp.log(_softplus(xp, xp.where(small, xp.full_like(x, TINY), x))))


def _softmax(xp: Any, scores: Array, left_out: Array) -> Array:
    scores = xp.where(left_out, xp.full_like(scores, -xp.inf), scores)
    shares = xp.exp(scores - xp.max(scores, axis=1, keepdims=True))
    return shares / xp.sum(shares, axis=1, keepdims=True)
