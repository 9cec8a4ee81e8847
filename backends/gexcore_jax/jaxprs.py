"""What a function computes, as one list of equations."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import jax
from jax.extend.core import ClosedJaxpr, Literal

Rule = Callable[[Any, list[Any]], Sequence[Any]]
"""From an equation and the values that enter it to those that leave it."""

CALLS = frozenset({"jit", "pjit", "closed_call", "core_call", "checkpoint", "remat", "remat2"})
"""Calls that compute what is in them, and no more."""

CUSTOM = frozenset({"custom_jvp_call", "custom_vjp_call", "custom_vjp_call_jaxpr"})
"""Calls with a derivative of the user's own, which is lost where they are opened."""


def flattened(
    function: Callable[..., Any], *args: Any, opened: Collection[str] = CALLS
) -> tuple[ClosedJaxpr, Any]:
    """The equations of ``function(*args)``, without those whose results nobody uses.

    Parameters
    ----------
    function : callable
    *args : pytree
        Arrays, or what stands for their shapes.
    opened : collection of str
        Calls whose equations take their place; loops and branches are never opened.

    Returns
    -------
    closed : ClosedJaxpr
        Of the leaves of `args`, in their order, to the leaves of the result.
    tree : PyTreeDef
        Of the result.
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
    """The results for these arguments, each equation computed by the rule."""
    jaxpr = closed.jaxpr
    known = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*closed.consts, *args], strict=True))

    def read(atom: Any) -> Any:
        return atom.val if isinstance(atom, Literal) else known[atom]

    for equation in jaxpr.eqns:
        results = rule(equation, [read(atom) for atom in equation.invars])
        known.update(zip(equation.outvars, results, strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def bind(equation: Any, values: Sequence[Any]) -> Sequence[Any]:
    """The equation as it is."""
    found = equation.primitive.get_bind_params(equation.params)
    # a pair in older versions
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
