"""JAX for gexcore: functions with parameters, Flax NNX modules, Equinox modules.

The package itself imports no JAX, so that finding the backend does not load it.
"""

from __future__ import annotations

from gexcore_jax.models import JaxModel

__all__ = ["JaxModel"]
