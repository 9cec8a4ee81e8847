"""Models: the one form of every JAX model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gexcore.errors import InvalidModelError


@dataclass(frozen=True, eq=False)
class JaxModel:
    """A network as a pure function, its trained parameters and its buffers.

    A model without buffers and training mode can be a tuple ``(apply, params)`` with
    ``apply(params, x) -> scores``.

    Parameters
    ----------
    apply : callable
        ``apply(params, buffers, x, *, training, key) -> (scores, new_buffers)``, traceable by
        ``jax.jit``. `training` is a bool that is known while tracing. `key` is a typed PRNG key. In
        evaluation the key is always the same, and new buffers are ignored. A batch (x1, …, xn, y)
        gives n positional inputs. A batch that is a mapping gives keywords.
    params : pytree
        Floating-point arrays of JAX or NumPy, which are all trained.
    buffers : pytree
        Other arrays. A training pass updates some, such as BatchNorm's averages. Others are
        constants, such as frozen weights, which `apply` returns unchanged. They are not copied per
        member.
    statistics : bool, optional
        Whether some buffers are running averages over batches, which each member estimates anew.
        The default is true if any buffer holds floating-point numbers.

    Examples
    --------
    A Flax Linen network with BatchNorm and dropout, ``variables = net.init(...)``:

    >>> def apply(params, stats, x, *, training, key):
    ...     variables = {"params": params, "batch_stats": stats}
    ...     rngs = {"dropout": key}
    ...     scores, new = net.apply(variables, x, training, mutable=["batch_stats"], rngs=rngs)
    ...     return scores, new["batch_stats"]
    >>> model = JaxModel(apply, variables["params"], variables["batch_stats"])  # doctest: +SKIP
    """

    apply: Callable[..., tuple[Any, Any]]
    params: Any
    buffers: Any = ()
    statistics: bool | None = None


def checked(returned: Any) -> tuple[Any, Any]:
    """The checked result of `JaxModel.apply`.

    Raises
    ------
    InvalidModelError
        If the result is no pair.
    """
    if not isinstance(returned, tuple) or len(returned) != 2:
        msg = (
            f"apply returned {type(returned).__name__}; that of a JaxModel must return (scores, "
            "buffers)"
        )
        raise InvalidModelError(msg)
    return returned
