"""Backends by name, from distributions that exist only as a folder on the path."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gexcore.backend.plugins import BackendSpec, hookimpl
from gexcore.backend.registry import DISABLE, BackendRegistry
from gexcore.errors import (
    BackendConflictError,
    BackendLoadError,
    InvalidModelError,
    UnknownBackendError,
)
from gexcore_numpy import MLP, NumpyBackend

Install = Callable[..., None]


def plugin(*specs: BackendSpec) -> object:
    """A plugin made at run time."""

    class Plugin:
        @hookimpl
        def gexcore_register_backend(self) -> list[BackendSpec]:
            return list(specs)

    return Plugin()


def spec(
    name: str, factory: str = "gexcore_numpy.backend:NumpyBackend", **fields: Any
) -> BackendSpec:
    return BackendSpec(name=name, factory=factory, **fields)


def model() -> MLP:
    return MLP([np.zeros((2, 2))], [np.zeros(2)])


def test_an_entry_point_is_found_by_name_and_loads_no_other(install: Install) -> None:
    install("apple", "factory='gexcore_numpy.backend:NumpyBackend'")
    install("pear")
    registry = BackendRegistry()
    assert {"apple", "pear", "numpy"} <= set(registry.names())
    assert not {"gexcore_apple_plugin", "gexcore_pear_plugin"} & set(sys.modules)
    assert registry.get("apple") is NumpyBackend
    assert "gexcore_pear_plugin" not in sys.modules


def test_an_unknown_name_is_told_what_there_is(install: Install) -> None:
    install("apple")
    with pytest.raises(
        UnknownBackendError, match=r"no backend named 'aple'; installed: apple, .*numpy"
    ) as raised:
        BackendRegistry().get("aple")
    assert isinstance(raised.value, LookupError)


def test_a_missing_framework_is_told_with_the_command_that_installs_it(install: Install) -> None:
    install(
        "apple",
        "factory='a:B', requires=('no_such_framework', 'no_such.sub'), hint='pip install apples'",
    )
    wanted = (
        "backend 'apple' needs no_such_framework, no_such.sub, which is not installed; try: pip "
        "install apples"
    )
    with pytest.raises(BackendLoadError, match=wanted) as raised:
        BackendRegistry().get("apple")
    assert isinstance(raised.value, ImportError)


@pytest.mark.parametrize("factory", ["no_such_module:X", "gexcore_numpy.backend:Absent"])
def test_a_backend_that_cannot_be_imported_says_so(factory: str) -> None:
    registry = BackendRegistry()
    registry.register(plugin(spec("odd", factory, hint="pip install odd")))
    with pytest.raises(
        BackendLoadError,
        match=r"backend 'odd' is installed but cannot be imported \(.*\); try: pip",
    ):
        registry.get("odd")


def test_two_distributions_of_one_name_are_a_conflict(install: Install) -> None:
    install("apple", owner="first-apples")
    install("apple", owner="second-apples")
    registry = BackendRegistry()
    with pytest.raises(
        BackendConflictError,
        match="'apple' is claimed by first-apples and second-apples; uninstall",
    ):
        registry.get("apple")
    assert registry.get("numpy") is NumpyBackend
    with pytest.warns(RuntimeWarning, match="claimed by first-apples and second-apples"):
        assert registry.find(model()) == "numpy"
    registry.register(plugin(spec("apple")), name="apple")
    assert registry.get("apple") is NumpyBackend


@pytest.mark.parametrize(
    "broken",
    [
        {"source": "import no_such_framework"},
        {"source": "raise RuntimeError('out of order')"},
        {"hook": "gexcore_register_backends"},
        {"arguments": "registry"},
        {"fields": "factory=1 / 0"},
        {"fields": "unknown_field=1"},
    ],
    ids=lambda broken: " ".join(broken.values()),
)
def test_a_broken_plugin_is_told_and_breaks_no_other(
    install: Install, broken: dict[str, str]
) -> None:
    install("apple", **broken)
    registry = BackendRegistry()
    for _ in range(2):
        with pytest.raises(
            BackendLoadError, match=r"the plugin 'apple' cannot be loaded \(.*reinstall it, or set"
        ):
            registry.get("apple")
    assert registry.get("numpy") is NumpyBackend
    with pytest.warns(RuntimeWarning, match="the plugin 'apple' cannot be loaded"):
        assert registry.find(model()) == "numpy"


def test_a_misspelt_hook_is_told_the_right_name() -> None:
    class Misspelt:
        @hookimpl
        def gexcore_register_backends(self) -> BackendSpec:
            return spec("apple")

    registry = BackendRegistry()
    wanted = (
        r"unknown hook 'gexcore_register_backends' .* its hook is called "
        r"gexcore_register_backend and"
    )
    with pytest.raises(BackendLoadError, match=wanted):
        registry.register(Misspelt(), name="apple")
    assert "apple" not in registry.names()
    registry.register(plugin(spec("apple")), name="apple")


def test_run_time_plugins_come_and_go() -> None:
    registry = BackendRegistry()
    before = registry.names()
    assert registry.register(plugin(spec("apple"), spec("pear")), name="fruit") == "fruit"
    assert registry.names() == sorted([*before, "apple", "pear"])
    assert registry.get("pear") is NumpyBackend
    with pytest.raises(
        BackendConflictError, match="a plugin named 'fruit' is in use already; unregister it first"
    ):
        registry.register(plugin(spec("plum")), name="fruit")
    registry.unregister("fruit")
    assert registry.names() == before


def test_a_run_time_plugin_replaces_the_entry_point_of_its_name(install: Install) -> None:
    install("apple")
    registry = BackendRegistry()
    registry.register(plugin(spec("apple", hint="mine")), name="apple")
    assert registry.spec("apple").hint == "mine"
    assert "gexcore_apple_plugin" not in sys.modules


def test_two_plugins_that_describe_one_backend_are_a_conflict() -> None:
    registry = BackendRegistry()
    registry.register(plugin(spec("apple", "here:A")), name="one")
    registry.register(plugin(spec("apple", "there:B")), name="two")
    with pytest.raises(
        BackendConflictError,
        match="'apple' is described by several plugins, for here:A and there:B",
    ):
        registry.get("apple")


def test_the_environment_can_block_backends(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("apple")
    monkeypatch.setenv(DISABLE, "apple, numpy")
    registry = BackendRegistry()
    assert not {"apple", "numpy"} & set(registry.names())
    for name in ("apple", "numpy"):
        with pytest.raises(UnknownBackendError, match=f"no backend named '{name}'"):
            registry.get(name)
    with pytest.raises(
        InvalidModelError, match=r"no backend takes a model of type gexcore_numpy\.models\.MLP"
    ):
        registry.find(model())
    registry.register(plugin(spec("numpy")), name="mine")
    assert "numpy" not in registry.names()
