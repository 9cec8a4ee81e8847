"""The plugin of this backend."""

from __future__ import annotations

from gexcore.backend import BackendSpec, hookimpl


@hookimpl
def gexcore_register_backend() -> BackendSpec:
    """The NumPy backend, for `gexcore_numpy.MLP`."""
    return BackendSpec(
        name="numpy",
        factory="gexcore_numpy.backend:NumpyBackend",
        models=("gexcore_numpy.models.MLP",),
        demo="gexcore_numpy.demo:train",
    )
