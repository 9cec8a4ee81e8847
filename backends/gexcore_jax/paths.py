"""Readable names of the arrays of a pytree."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import jax


def named(tree: Any) -> OrderedDict[str, Any]:
    """Leaves by their paths, such as ``layers.0.kernel``, in the order of ``jax.tree.leaves``.

    An ordered dictionary is a pytree that keeps this order. A plain dictionary does not.
    """
    found = jax.tree_util.tree_flatten_with_path(tree)[0]
    names = [".".join(map(_part, path)) or "params" for path, _ in found]
    if len(set(names)) < len(names):  # keys may contain dots
        names = [jax.tree_util.keystr(path) for path, _ in found]
    return OrderedDict((name, leaf) for name, (_, leaf) in zip(names, found, strict=True))


def _part(key: Any) -> str:
    found = (
        getattr(key, attribute) for attribute in ("key", "name", "idx") if hasattr(key, attribute)
    )
    return str(next(found, key))
