"""The one form that every JAX model is brought to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gexcore.errors import InvalidModelError


@dataclass(frozen=True, eq=False)
class JaxModel:
    """A network as a pure function, its trained parameters and its buffers.

    What has no buffers and is the same in training and evaluation can be given as the plain
    tuple ``(apply, params)`` with ``apply(params, x) -> scores``.

    Parameters
    ----------
    apply : callable
        ``apply(params, buffers, x, *, training, key) -> (scores, new_buffers)``, traceable by
        ``jax.jit``. `training` is a bool known while tracing; `key` a typed PRNG key, one and
        the same in evaluation, where the new buffers are ignored. A batch (x1, …, xn, y) gives n
        positional inputs, a batch that is a mapping gives keywords.
    params : pytree
        Of floating-point arrays of JAX or NumPy; all of them are trained.
    buffers : pytree
        Other arrays: what a training pass updates, such as BatchNorm's averages, and constants,
        such as frozen weights, which `apply` hands back untouched. They are not copied per member.
    statistics : bool, optional
        Whether some buffers are running averages over batches; they are then estimated anew
        for each member. By default whether any buffer holds floating-point numbers.

    Examples
    --------
    A Flax Linen network with BatchNorm and dropout, ``variables = net.init(...)``:

    >>> def apply(params, stats, x, *, training, key):
    ...     variables = {"params": params, "batch_stats": stats}
    ...     scores, new = net.apply(variables, x, training, mutable=["batch_stats"], rngs={"dropout": key})
    ...     return scores, new["batch_stats"]
    >>> model = JaxModel(apply, variables["params"], variables["batch_stats"])  # doctest: +SKIP
    """

    apply: Callable[..., tuple[Any, Any]]
    params: Any
    buffers: Any = ()
    statistics: bool | None = None


def checked(returned: Any) -> tuple[Any, Any]:
    """What `JaxModel.apply` returned.

    Raises
    ------
    InvalidModelError
        Where it is not a pair.
    """
    if not isinstance(returned, tuple) or len(returned) != 2:
        msg = (
            f"apply returned {type(returned).__name__}; that of a JaxModel must return (scores, "
            "buffers)"
        )
        raise InvalidModelError(msg)
    return returned
