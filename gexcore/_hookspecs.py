"""The one hook of gexcore; a plugin hands over descriptions, work is done by plain method calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from gexcore.registry import BackendSpec

PROJECT = "gexcore"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
"""Marks a plugin's implementation of a gexcore hook."""


@hookspec
def gexcore_register_backend() -> BackendSpec | list[BackendSpec]:  # type: ignore[empty-body]
    """Describe the backend or backends of this plugin; must not import a framework."""
