"""Buffers: arrays that a training pass updates, and constants that it returns unchanged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from gexcore.errors import InvalidModelError

Leaves = list[Any]
"""One entry per buffer. None for an unchanged one, which takes no memory in compiled calls."""

_FAR = 2.0**12
"""An old value far from zero: the share that is kept is then exact to the last digit."""


def updated(old: Any, new: Any) -> Leaves:
    """The new buffers that differ from the old ones. This runs while tracing.

    Raises
    ------
    InvalidModelError
        If the structure of the buffers changed.
    """
    before, after = jax.tree.leaves(old), jax.tree.leaves(new)
    trees: list[Any] = [jax.tree.structure(old), jax.tree.structure(new)]
    shapes = [
        [(jnp.shape(leaf), jnp.asarray(leaf).dtype) for leaf in leaves]
        for leaves in (before, after)
    ]
    if trees[0] != trees[1] or shapes[0] != shapes[1]:
        msg = (
            "apply returned buffers of another structure, shape or dtype than it was given; "
            "return them as they came, with new values only"
        )
        raise InvalidModelError(msg)
    return [None if b is a else jnp.asarray(b) for a, b in zip(before, after, strict=True)]


def merged(buffers: Any, leaves: Sequence[Any]) -> Any:
    """The buffers with all leaves that are not None put in."""
    before, tree = jax.tree.flatten(buffers)
    return jax.tree.unflatten(
        tree, [a if b is None else b for a, b in zip(before, leaves, strict=True)]
    )


def batch_statistics(train: Callable[[Any], Any], buffers: Any) -> Leaves:
    """Contribution of one batch to the running averages. None for other buffers.

    An average over batches is affine in its old value: m·old + (1 − m)·batch. Two passes from two
    old values show m and the part of the batch. So the name of the layer's momentum does not
    matter. No derivative is taken, because layers may stop gradients.

    Parameters
    ----------
    train : callable
        Function from buffers to buffers, by a pass in training mode.
    buffers : pytree
    """
    leaves = jax.tree.leaves(buffers)
    moving = [
        i
        for i, leaf in enumerate(updated(buffers, train(buffers)))
        if leaf is not None and jnp.issubdtype(leaf.dtype, jnp.floating)
    ]

    def passed(value: float) -> Leaves:
        given: Leaves = [None] * len(leaves)
        for i in moving:
            given[i] = jnp.full_like(leaves[i], value)
        out = jax.tree.leaves(train(merged(buffers, given)))
        return [out[i] for i in moving]

    found: Leaves = [None] * len(leaves)
    for i, value, shifted in zip(moving, passed(0.0), passed(_FAR), strict=True):
        kept = (shifted - value) / _FAR
        # read where the batch's part is smallest, since that part rounds the share
        m = kept.ravel()[jnp.argmin(jnp.abs(value))]
        digit = jnp.finfo(kept.dtype).eps  # type: ignore[no-untyped-call]
        rounding = 16 * digit * (1 + jnp.abs(value) / _FAR)
        # one share for all, unlike that of a buffer that is no average, such as an eigenvector
        alike = jnp.abs(kept - m) <= rounding
        averages = jnp.all(alike) & (m < 1)
        found[i] = jnp.where(averages, value / jnp.where(averages, 1 - m, 1), leaves[i])
    return found


@jax.jit
def mean(parts: Sequence[Leaves]) -> Leaves:
    """The average over batches, with equal weights."""
    averaged: Leaves = jax.tree.map(lambda *values: sum(values) / len(values), *parts)
    return averaged
