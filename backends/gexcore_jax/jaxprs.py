"""Programs: a function as one list of equations."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import jax
from jax.extend.core import ClosedJaxpr, Literal

Rule = Callable[[Any, list[Any]], Sequence[Any]]
"""A rule from an equation and its input values to its output values."""

CALLS = frozenset({"jit", "pjit", "closed_call", "core_call", "checkpoint", "remat", "remat2"})
"""Names of calls that only compute their content."""

CUSTOM = frozenset({"custom_jvp_call", "custom_vjp_call", "custom_vjp_call_jaxpr"})
"""Names of calls with a custom derivative, which is lost if the call is opened."""


def flattened(
    function: Callable[..., Any], *args: Any, opened: Collection[str] = CALLS
) -> tuple[ClosedJaxpr, Any]:
    """The equations of ``function(*args)``, without equations whose results are unused.

    Parameters
    ----------
    function : callable
    *args : pytree
        Arrays, or their shapes.
    opened : collection of str
        Names of calls that are replaced by their equations. Loops and branches are never opened.

    Returns
    -------
    closed : ClosedJaxpr
        Program from the leaves of `args`, in their order, to the leaves of the result.
    tree : PyTreeDef
        Structure of the result.
    """
    closed, shape = jax.make_jaxpr(function, return_shape=True)(*args)

    def rule(equation: Any, values: list[Any]) -> Sequence[Any]:
        if equation.primitive.name not in opened:
            return bind(equation, values)
        inner = next(
            equation.params[key]
            for key in ("jaxpr", "call_jaxpr", "fun_jaxpr")
            if key in equation.params
        )
        return interpret(
            inner if isinstance(inner, ClosedJaxpr) else ClosedJaxpr(inner, ()), values, rule
        )

    flat = jax.make_jaxpr(lambda *leaves: interpret(closed, leaves, rule))(*jax.tree.leaves(args))
    return _without_idle(flat), jax.tree.structure(shape)


def interpret(closed: ClosedJaxpr, args: Sequence[Any], rule: Rule) -> list[Any]:
    """The results for these arguments. The rule computes each equation."""
    jaxpr = closed.jaxpr
    known = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*closed.consts, *args], strict=True))

    def read(atom: Any) -> Any:
        return atom.val if isinstance(atom, Literal) else known[atom]

    for equation in jaxpr.eqns:
        results = rule(equation, [read(atom) for atom in equation.invars])
        known.update(zip(equation.outvars, results, strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def bind(equation: Any, values: Sequence[Any]) -> Sequence[Any]:
    """The results of an unchanged equation."""
    found = equation.primitive.get_bind_params(equation.params)
    # older versions give a pair
    functions, params = found if isinstance(found, tuple) else ((), found)
    results = equation.primitive.bind(*functions, *values, **params)
    return results if equation.primitive.multiple_results else [results]


def _without_idle(closed: ClosedJaxpr) -> ClosedJaxpr:
    needed, kept = {atom for atom in closed.jaxpr.outvars if not isinstance(atom, Literal)}, []
    for equation in reversed(closed.jaxpr.eqns):
        if equation.effects or not needed.isdisjoint(equation.outvars):
            needed.update(atom for atom in equation.invars if not isinstance(atom, Literal))
            kept.append(equation)
    return ClosedJaxpr(closed.jaxpr.replace(eqns=kept[::-1]), closed.consts)
