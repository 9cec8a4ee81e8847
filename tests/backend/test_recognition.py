"""From models to backends: by type, without an import of a framework, and only if usable."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from gexcore.backend.plugins import BackendSpec, hookimpl
from gexcore.backend.registry import BackendRegistry
from gexcore.errors import InvalidModelError, UnknownBackendError
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


def test_a_model_finds_its_backend_by_its_class_or_a_base_of_it(install: Install) -> None:
    install(
        "apple",
        "factory='no_such_module:X', models=('orchard.Tree',), requires=('no_such_framework',)",
    )
    tree = type("Tree", (), {"__module__": "orchard"})
    registry = BackendRegistry()
    assert registry.find(tree()) == "apple"
    assert registry.find(type("Bonsai", (tree,), {"__module__": "elsewhere"})()) == "apple"
    assert registry.find(model()) == "numpy"
    assert not {"no_such_module", "no_such_framework"} & set(sys.modules)


def test_a_model_that_is_no_class_of_its_own_is_recognised() -> None:
    registry = BackendRegistry()
    registry.register(
        plugin(spec("pairs", recognises=lambda model: isinstance(model, tuple) and len(model) == 2))
    )
    assert registry.find((1, 2)) == "pairs"
    with pytest.raises(
        InvalidModelError,
        match=r"model of type builtins\.tuple.*; give one trained",
    ):
        registry.find((1, 2, 3))


@pytest.mark.parametrize(
    ("stand_in", "told"),
    [
        ("net.joblib", "; load the model and give the object, not its name$"),
        (NumpyBackend, "; give a trained object, not its class$"),
        ({"w": 1}, "; give the model that holds the weights, not the weights alone$"),
        ([1.0, 2.0], "; give one trained model, not its weights or several models$"),
        (len, r"; give the function with its trained parameters, as \(apply, params\)$"),
        (3, r"installed: [a-z]+(, [a-z]+)*(; for [^;]+)*$"),
    ],
)
def test_what_only_stands_for_a_model_is_told(stand_in: object, told: str) -> None:
    with pytest.raises(InvalidModelError, match=told):
        BackendRegistry().find(stand_in)


def test_a_model_that_fits_two_backends_needs_a_choice() -> None:
    registry = BackendRegistry()
    registry.register(plugin(spec("other", models=("gexcore_numpy.models.MLP",))))
    with pytest.raises(
        UnknownBackendError, match="fits the backends numpy, other; choose one with backend="
    ):
        registry.find(model())
    assert isinstance(registry.create(model(), backend="other"), NumpyBackend)


def test_a_model_without_backend_is_told_what_could_be_installed(install: Install) -> None:
    install("apple", "factory='a:B', requires=('no_such_framework',), hint='pip install apples'")
    install("pear", "factory='a:B', requires=('no_such_framework',)")
    wanted = (
        r"type builtins\.int; installed: .*numpy.*; for apple: pip install apples; for pear: "
        r"install no_such_framework"
    )
    with pytest.raises(InvalidModelError, match=wanted) as raised:
        BackendRegistry().find(3)
    assert isinstance(raised.value, TypeError)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            {"sgd_step": lambda self, state, batch, *, lr: state},
            r"batch, \*, lr\) cannot be called as sgd_step\(self",
        ),
        (
            {"forward": lambda self, state: state},
            r"forward\(self, state\) cannot be called as forward\(self",
        ),
        ({"restart": None}, r"has no method restart\(self, state"),
    ],
)
def test_a_class_that_cannot_be_called_as_agreed_is_refused(
    change: dict[str, Any], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = type("Odd", (NumpyBackend,), change)
    monkeypatch.setitem(sys.modules, "odd_backend", SimpleNamespace(Odd=odd))
    registry = BackendRegistry()
    registry.register(plugin(spec("odd", "odd_backend:Odd")))
    with pytest.raises(InvalidModelError, match=f"backend 'odd'.* {told}"):
        registry.get("odd")


def test_a_backend_is_a_model_of_its_own() -> None:
    registry, backend = BackendRegistry(), NumpyBackend(model())
    assert registry.create(backend) is backend
    with pytest.raises(
        InvalidModelError, match="loss= is given although the model is a backend, which has its own"
    ):
        registry.create(backend, loss="squared_error")
    with pytest.raises(InvalidModelError, match=r"no backend takes a model of type builtins\.type"):
        registry.create(NumpyBackend)
