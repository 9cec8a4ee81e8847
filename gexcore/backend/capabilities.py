"""The only place that asks "can this backend do it?"."""

from __future__ import annotations

from typing import Any

from gexcore.backend import protocols
from gexcore.errors import MissingCapabilityError

CAPABILITIES: dict[str, type] = {
    "donated steps": protocols.SupportsDonation,
    "training losses": protocols.SupportsTrainingLosses,
    "buffer refresh": protocols.SupportsBufferRefresh,
    "logits": protocols.SupportsLogits,
    "params": protocols.SupportsParams,
    "jvp": protocols.SupportsJvp,
    "hvp": protocols.SupportsHvp,
    "per-sample gradients": protocols.SupportsSampleGradients,
    "features": protocols.SupportsFeatures,
    "Kronecker factors": protocols.SupportsKronecker,
    "parameter selection": protocols.SupportsSelection,
    "another optimizer": protocols.SupportsOptimizer,
    "checkpoints": protocols.SupportsCheckpoints,
    "serialization": protocols.SupportsSerialization,
    "stacked ensembles": protocols.SupportsEnsemble,
    "native datasets": protocols.SupportsDatasets,
}
"""Every optional capability of a backend, by the name that tables and errors use."""


SHORTCUTS = {
    protocols.SupportsEnsemble: ("forward_many", "forward"),
    protocols.SupportsDonation: ("sgd_step_", "sgd_step"),
}
"""Capabilities that are a faster way to the same result: their method, and the one whose result
that is."""


def _declares(cls: type, capability: type) -> bool:
    # issubclass refuses protocols with data members, so look the methods up. On the type, not the
    # instance: an instance's __getattr__ counts as support on Python 3.11 and not on 3.12.
    methods = [
        name
        for name in vars(capability)
        if callable(vars(capability)[name]) and not name.startswith("_")
    ]
    if not methods or not all(callable(getattr(cls, name, None)) for name in methods):
        return False
    if capability not in SHORTCUTS:
        return True
    # a subclass that redefines the result, but not the way to it, must not be passed by
    shortcut, result = (_depth(cls, name) for name in SHORTCUTS[capability])
    return shortcut <= result


def _depth(cls: type, method: str) -> int:
    """How many classes up a method is defined; beyond all of them where it is not."""
    return next(
        (depth for depth, parent in enumerate(cls.__mro__) if method in vars(parent)),
        len(cls.__mro__),
    )


def supports(obj: object, capability: type) -> bool:
    """Whether `obj` has the methods of `capability` and has not opted out.

    Parameters
    ----------
    obj : object
        A backend or a dataset. Its optional attribute ``unsupported``, a collection of protocols,
        names what its class defines but this instance cannot do (a model without BatchNorm has
        no buffers to refresh).
    capability : type
        One of the ``Supports…`` protocols of `gexcore.backend.protocols`.

    Examples
    --------
    >>> from gexcore.backend.capabilities import supports
    >>> from gexcore.backend.protocols import SupportsJvp
    >>> supports(object(), SupportsJvp)
    False
    """
    return _declares(type(obj), capability) and capability not in getattr(obj, "unsupported", ())


def require(backend: Any, *capabilities: type, by: str) -> None:
    """Raise one error that names everything `by` needs and the backend lacks.

    Raises
    ------
    MissingCapabilityError
        Before any work is done.
    """
    missing = [capability for capability in capabilities if not supports(backend, capability)]
    if missing:
        lacks = ", ".join(
            f"{c.__name__} ({'/'.join(n for n in vars(c) if not n.startswith('_'))})"
            for c in missing
        )
        msg = (
            f"{by} needs {lacks}, which backend {backend.name!r} does not have for this model; "
            "choose a method that does without, or a backend that has it (`gexcore backends` "
            "lists them)"
        )
        raise MissingCapabilityError(msg)


def describe(cls: type) -> dict[str, bool]:
    """Capability name to whether the backend class defines it."""
    return {name: _declares(cls, capability) for name, capability in CAPABILITIES.items()}
