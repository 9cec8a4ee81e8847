"""The kit as a pytest class; `gexcore.testing` shows how to use it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar

from gexcore.backend.protocols import Backend
from gexcore.testing import (
    checks,
    derivatives,
    gradients,
    kronecker,
    optional,
    oracle,
    refusals,
    selection,
    serialization,
)
from gexcore.testing._hypothesis import pytest
from gexcore.testing.problems import TOYS, Problem, Toy

Law = Callable[[Problem], None]

LAWS: tuple[Law, ...] = (
    *checks.LAWS,
    *optional.LAWS,
    *derivatives.LAWS,
    *gradients.LAWS,
    *kronecker.LAWS,
    *selection.LAWS,
    *serialization.LAWS,
    *refusals.LAWS,
    *oracle.LAWS,
)
"""Every law, as a function of a `Problem`."""


class BackendTests:
    """Tests of a backend by every law: a subclass defines `build` or overrides `problem`.

    Attributes
    ----------
    build : method
        ``build(toy) -> Backend`` with the toy's model, loss and optimiser in the framework. It is
        called once per toy, and the laws share the backend.
    checkpoint : method, optional
        ``checkpoint(backend, state)``: the state in the form that the backend's `load` takes.
    toys : sequence of str
        Names of `TOYS` that the backend can express.
    laws : sequence of callable
        `LAWS`, or some of them.
    """

    build: Callable[[Toy], Backend[Any, Any]]
    checkpoint: Callable[[Any, Any], Any] | None = None
    toys: ClassVar[Sequence[str]] = tuple(TOYS)
    laws: ClassVar[Sequence[Law]] = LAWS

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Run every law, on every toy if the problem is made from one."""
        if "toy" in metafunc.fixturenames:
            metafunc.parametrize("toy", [TOYS[name] for name in self.toys], ids=self.toys)
        if "law" in metafunc.fixturenames:
            metafunc.parametrize(
                "law", self.laws, ids=[law.__name__.removeprefix("check_") for law in self.laws]
            )

    @pytest.fixture
    def problem(self, toy: Toy) -> Problem:
        """The problem on which laws are checked."""
        key = type(self), toy.name
        if key not in _BUILT:
            backend = self.build(toy)
            native = self.checkpoint and partial(self.checkpoint, backend)
            _BUILT[key] = toy.problem(backend, checkpoint=native)
        return _BUILT[key]

    def test_law(self, problem: Problem, law: Law) -> None:
        """The backend keeps the law."""
        law(problem)


# else frameworks would compile once per law
_BUILT: dict[tuple[type[BackendTests], str], Problem] = {}
