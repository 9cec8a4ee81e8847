"""Per-sample losses of the outputs, with their first two derivatives."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gexcore.backend import losses as shared
from gexcore.backend.classes import softmax
from gexcore.backend.drawing import sample_targets
from gexcore.backend.rules import Reals


class Loss(NamedTuple):
    """A loss of outputs f and targets t, both of shape (b, k).

    Parameters
    ----------
    targets : callable
        Function from (y, f) to targets of shape (b, k), or an `InvalidDataError`.
    value : callable
        Function from (f, t) to the losses, shape (b,).
    gradient : callable
        Function from (f, t) to derivatives by the outputs, shape (b, k).
    curvature : callable
        Function from (f, t, v) to products of second derivatives with v, shape (b, k).
    draw : callable, optional
        Function from (f, *, seed) to labels of a batch, drawn from the distribution whose negative
        log-likelihood is the loss. None if the loss is no likelihood.
    both : callable, optional
        Function from (f, t) to `value` and `gradient` at once, if that is cheaper.
    """

    targets: Callable[[NDArray[Any], Reals], Reals]
    value: Callable[[Reals, Reals], Reals]
    gradient: Callable[[Reals, Reals], Reals]
    curvature: Callable[[Reals, Reals, Reals], Reals]
    draw: Callable[..., NDArray[Any]] | None = None
    both: Callable[[Reals, Reals], tuple[Reals, Reals]] | None = None

    def value_and_gradient(self, f: Reals, t: Reals) -> tuple[Reals, Reals]:
        """The result of `both`, or of `value` and `gradient`."""
        return (self.value(f, t), self.gradient(f, t)) if self.both is None else self.both(f, t)


def _classes(y: NDArray[Any], f: Reals) -> Reals:
    b, k = f.shape
    if y.shape == (b, k):
        return y.astype(f.dtype, copy=False)
    if y.shape != (b,):
        if y.dtype.kind in "iub":
            raise shared.wrong_labels(y.shape, f.shape)
        raise shared.wrong_probabilities(y.dtype, y.shape, f.shape)
    if y.dtype.kind not in "iub":
        raise shared.wrong_probabilities(y.dtype, y.shape, f.shape)
    places = y.astype(np.intp, copy=False)
    # a negative label is large as an unsigned number: one pass instead of two
    if places.view(np.uintp).max() >= k:
        shared.check_labels(y.astype(np.int64), k, ignored=None)
    one_hot = np.zeros_like(f)
    one_hot[np.arange(b), places] = 1
    return one_hot


def _numbers(y: NDArray[Any], f: Reals) -> Reals:
    targets = y.reshape(-1, 1) if y.ndim == 1 else y
    if targets.shape != f.shape:
        raise shared.wrong_targets("squared_error", y.shape, f.shape)
    return targets.astype(f.dtype, copy=False)


def _cross_entropy(f: Reals, t: Reals) -> Reals:
    shifted = f - f.max(axis=1, keepdims=True)
    shifted -= np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    shifted *= t
    return np.asarray(-shifted.sum(axis=1))


def _cross_entropy_gradient(f: Reals, t: Reals) -> Reals:
    # soft labels need not sum to one
    return np.asarray(softmax(f) * t.sum(axis=1, keepdims=True) - t)


def _cross_entropy_and_gradient(f: Reals, t: Reals) -> tuple[Reals, Reals]:
    shifted = f - f.max(axis=1, keepdims=True)
    p = np.exp(shifted)
    total = p.sum(axis=1, keepdims=True)
    p /= total
    shifted -= np.log(total)
    shifted *= t
    p *= t.sum(axis=1, keepdims=True)
    p -= t
    return np.asarray(-shifted.sum(axis=1)), np.asarray(p)


def _cross_entropy_curvature(f: Reals, t: Reals, v: Reals) -> Reals:
    p = softmax(f)
    spread = v - (p * v).sum(axis=1, keepdims=True)
    return np.asarray(p * spread * t.sum(axis=1, keepdims=True))


def _squared_error(f: Reals, t: Reals) -> Reals:
    return np.asarray(((f - t) ** 2).sum(axis=1))


def _squared_error_gradient(f: Reals, t: Reals) -> Reals:
    return 2 * (f - t)


def _squared_error_curvature(f: Reals, t: Reals, v: Reals) -> Reals:
    return 2 * v


LOSSES = {
    "cross_entropy": Loss(
        *(_classes, _cross_entropy, _cross_entropy_gradient, _cross_entropy_curvature),
        sample_targets,
        _cross_entropy_and_gradient,
    ),
    "squared_error": Loss(
        *(_numbers, _squared_error, _squared_error_gradient, _squared_error_curvature),
        functools.partial(sample_targets, squared_error=True),
    ),
}
"""Losses by name. Squared error is summed over outputs."""

OWN = "a gexcore_numpy.losses.Loss"


def find_loss(loss: object) -> Loss:
    """The named loss, the default for None, or the given `Loss`.

    Raises
    ------
    InvalidModelError
        If another object is given.
    """
    if isinstance(loss, Loss):
        return loss
    found = shared.named(loss, LOSSES, own=OWN)
    if found is None:
        raise shared.unknown_loss(loss, LOSSES, own=OWN)
    return found
