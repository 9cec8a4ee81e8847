"""Capabilities: the only place that asks what a backend can do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, overload

from gexcore.backend import protocols
from gexcore.errors import MissingCapabilityError

if TYPE_CHECKING:
    from typing_extensions import TypeIs

Capability = TypeVar("Capability")

CAPABILITIES: dict[str, type] = {
    "donated steps": protocols.SupportsDonation,
    "training losses": protocols.SupportsTrainingLosses,
    "buffer refresh": protocols.SupportsBufferRefresh,
    "logits": protocols.SupportsLogits,
    "losses of parts": protocols.SupportsPartLosses,
    "params": protocols.SupportsParams,
    "jvp": protocols.SupportsJvp,
    "hvp": protocols.SupportsHvp,
    "per-sample gradients": protocols.SupportsSampleGradients,
    "features": protocols.SupportsFeatures,
    "Kronecker factors": protocols.SupportsKronecker,
    "parameter selection": protocols.SupportsSelection,
    "size of the model": protocols.SupportsSize,
    "another optimizer": protocols.SupportsOptimizer,
    "readings of outputs": protocols.SupportsReading,
    "checkpoints": protocols.SupportsCheckpoints,
    "serialization": protocols.SupportsSerialization,
    "stacked ensembles": protocols.SupportsEnsemble,
    "structure": protocols.SupportsStructure,
    "native datasets": protocols.SupportsDatasets,
}
"""All optional capabilities of a backend, by the name in tables and errors."""


SHORTCUTS = {
    protocols.SupportsEnsemble: ("forward_many", "forward"),
    protocols.SupportsDonation: ("sgd_step_", "sgd_step"),
}
"""Faster ways to the same result: method of each capability, and the method it replaces."""


def _declares(cls: type, capability: type) -> bool:
    # issubclass refuses protocols with data members, so look up the methods. On the type, not the
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
    # a subclass may redefine the slow method only: then the faster one would be wrong
    shortcut, result = (_depth(cls, name) for name in SHORTCUTS[capability])
    return shortcut <= result


def _depth(cls: type, method: str) -> int:
    """Number of classes up to the definition of a method; beyond all classes if there is none."""
    return next(
        (depth for depth, parent in enumerate(cls.__mro__) if method in vars(parent)),
        len(cls.__mro__),
    )


def supports(obj: object, capability: type[Capability]) -> TypeIs[Capability]:
    """Whether `obj` has the methods of `capability` and has not opted out.

    Parameters
    ----------
    obj : object
        A backend or a dataset. Its optional attribute ``unsupported`` is a collection of protocols.
        It names what its class defines but this instance cannot do. (A model without BatchNorm has
        no buffers to refresh.)
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


def lacking(backend: Any, /, *capabilities: type) -> list[type]:
    """The capabilities that a backend does not have."""
    return [capability for capability in capabilities if not supports(backend, capability)]


@overload
def require(backend: Any, capability: type[Capability], /, *, by: str) -> Capability: ...
@overload
def require(backend: Any, /, *capabilities: type, by: str) -> Any: ...
def require(backend: Any, /, *capabilities: type, by: str) -> Any:
    """The backend, refused if it lacks capabilities. The error names all of them.

    Raises
    ------
    MissingCapabilityError
        If the backend lacks a capability that `by` needs.
    """
    missing = lacking(backend, *capabilities)
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
    return backend


def describe(cls: type) -> dict[str, bool]:
    """Whether the backend class defines each capability, by name."""
    return {name: _declares(cls, capability) for name, capability in CAPABILITIES.items()}
