"""Models with fewer trainable parameters, and models with the arrays of a checkpoint."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gexcore.backend.refusals import check_names
from gexcore.errors import InvalidModelError
from gexcore_jax.adapters import functional, is_model
from gexcore_jax.models import JaxModel, checked
from gexcore_jax.paths import named
from gexcore_jax.plugin import NNX_STATE, is_a


def chosen(known: Iterable[str], names: Collection[str]) -> tuple[str, ...]:
    """The names in the order of the known ones.

    Raises
    ------
    InvalidSettingError
        If a name is unknown, or there is none.
    """
    known = list(known)
    check_names(names, known)
    return tuple(name for name in known if name in names)


def only(model: JaxModel, names: Collection[str]) -> JaxModel:
    """The same network with only these parameters trained. The others become buffers.

    Parameters are then an ordered dictionary. Buffers are a pair: the other parameters in such a
    dictionary, and the old buffers.
    """
    tree, everything = jax.tree.structure(model.params), named(model.params)
    trained, frozen = (
        OrderedDict((name, leaf) for name, leaf in everything.items() if (name in names) is kept)
        for kept in (True, False)
    )

    def apply(params: Any, buffers: Any, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        fixed, kept = buffers
        values = [params[name] if name in params else fixed[name] for name in everything]
        scores, new = checked(model.apply(jax.tree.unflatten(tree, values), kept, *args, **kwargs))
        return scores, (fixed, new)

    return replace(model, apply=apply, params=trained, buffers=(frozen, model.buffers))


def size_of(model: JaxModel) -> int:
    """Number of parameters, with those that are frozen in the buffers.

    The statistics of a normalisation have one long dimension at most. So buffers of numbers count
    if they have two.
    """
    frozen = (
        leaf
        for leaf in jax.tree.leaves(model.buffers)
        if jnp.issubdtype(leaf.dtype, jnp.floating) and sum(d > 1 for d in leaf.shape) > 1
    )
    return sum(int(leaf.size) for leaf in (*jax.tree.leaves(model.params), *frozen))


def loaded(model: JaxModel, checkpoint: Any) -> JaxModel:
    """The model with the arrays of a checkpoint, copied, in its own dtypes and on its own devices.

    Parameters
    ----------
    model : JaxModel
        Model from `functional`.
    checkpoint : model, pytree of parameters, or (params, buffers)
        Checkpoint with the names and shapes of the model. Lists may replace tuples. The state of an
        NNX module and the variables of a Linen module have both.

    Raises
    ------
    InvalidModelError
        If it is a path, if names or shapes differ, or if batch statistics are missing.
    """
    params, buffers = _parts(model, checkpoint)
    return replace(
        model, params=_fitted(params, model.params), buffers=_fitted(buffers, model.buffers)
    )


def _parts(model: JaxModel, checkpoint: Any) -> tuple[Any, Any]:
    if checkpoint is None or isinstance(checkpoint, str | bytes | os.PathLike):
        msg = (
            f"a checkpoint of type {type(checkpoint).__name__} was given; files are not read here: "
            "give the model with its weights, its parameters, or (params, buffers)"
        )
        raise InvalidModelError(msg)
    if is_model(checkpoint):
        found = functional(checkpoint)
        return found.params, found.buffers
    if isinstance(checkpoint, tuple) and len(checkpoint) == 2 and is_a(checkpoint[1], NNX_STATE):
        checkpoint = checkpoint[1]  # what nnx.split returns
    if is_a(checkpoint, NNX_STATE):
        from gexcore_jax.flax_nnx import arrays_of

        checkpoint, buffers = arrays_of(checkpoint)
        if buffers:
            return checkpoint, buffers
    collections = model.buffers
    if (
        isinstance(checkpoint, Mapping)
        and isinstance(collections, Mapping)
        and set(checkpoint) == {"params", *collections}
    ):  # the variables of a Linen module
        return checkpoint["params"], {name: checkpoint[name] for name in collections}
    if (
        isinstance(checkpoint, tuple | list)
        and len(checkpoint) == 2
        and set(named(checkpoint)) != set(named(model.params))
    ):
        return checkpoint[0], checkpoint[1]
    if model.statistics:
        _fitted(checkpoint, model.params)  # what is no checkpoint at all is told first
        msg = (
            "the checkpoint has no batch statistics, which the parameters cannot be judged "
            "without; give (params, buffers), or a model with both"
        )
        raise InvalidModelError(msg)
    return checkpoint, model.buffers


def _fitted(given: Any, wanted: Any) -> Any:
    found, own = named(given), named(wanted)
    for name in (*own, *found):
        shapes = [_told(arrays.get(name)) for arrays in (found, own)]
        if shapes[0] != shapes[1]:
            msg = (
                f"the checkpoint does not fit the model: it has {shapes[0]} for {name!r}, where "
                f"the model has {shapes[1]}; give the parameters of a model of the same "
                "architecture, or that model itself"
            )
            raise InvalidModelError(msg)
    return jax.tree.unflatten(
        jax.tree.structure(wanted), [_placed(found[name], leaf) for name, leaf in own.items()]
    )


def _told(leaf: Any) -> str:
    if leaf is None:
        return "nothing"
    kind = leaf.dtype if isinstance(leaf, jax.Array) else np.asarray(leaf).dtype
    return (
        type(leaf).__name__
        if getattr(kind, "kind", "") in "OUSmM"
        else f"an array of shape {np.shape(leaf)}"
    )


def _placed(leaf: Any, like: jax.Array) -> jax.Array:
    array = jnp.array(leaf, dtype=like.dtype, copy=True)
    return jax.device_put(array, like.sharding) if like.committed else array
