"""The plugin of this backend. It imports no JAX."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gexcore.backend import BackendSpec, hookimpl

NNX = ("flax.nnx.module.Module",)
NNX_STATE = ("flax.nnx.statelib.State",)
LINEN = ("flax.linen.module.Module",)
TRAIN_STATE = ("flax.training.train_state.TrainState",)
# the second name is from older versions
EQUINOX = ("equinox._module._module.Module", "equinox._module.Module")


@hookimpl
def gexcore_register_backend() -> BackendSpec:
    """JAX models. A Flax Linen module is included, so that an error says what it needs."""
    return BackendSpec(
        name="jax",
        factory="gexcore_jax.backend:JaxBackend",
        models=("gexcore_jax.models.JaxModel", *NNX, *LINEN, *TRAIN_STATE, *EQUINOX),
        recognises=recognises,
        requires=("jax",),
        hint="pip install 'gexcore[jax]'",
        demo="gexcore_jax.demo:train",
    )


def recognises(model: Any) -> bool:
    """Whether this is (apply, params): a callable and nested containers of arrays."""
    if not isinstance(model, tuple) or len(model) not in (2, 3):
        return False
    if getattr(model[0], "_fields", None) != ("init", "apply"):  # a transformed Haiku function
        if len(model) != 2 or not callable(model[0]):
            return False
        if is_a(model[0], EQUINOX):
            return type(model[1]).__name__ == "State"
    leaf = model[1]
    while isinstance(leaf, Mapping | list | tuple) and leaf:
        leaf = next(iter(leaf.values() if isinstance(leaf, Mapping) else leaf))
    origin = type(leaf).__module__.partition(".")[0]
    return origin in ("jax", "jaxlib", "flax", "equinox") or (
        origin == "numpy" and hasattr(leaf, "shape")
    )


def is_a(value: object, names: tuple[str, ...]) -> bool:
    """`isinstance` by qualified names, for classes that are not imported."""
    return any(f"{cls.__module__}.{cls.__qualname__}" in names for cls in type(value).__mro__)
