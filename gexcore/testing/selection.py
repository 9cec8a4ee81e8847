"""Laws of parameters chosen by name, and of checkpoints."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gexcore.backend.capabilities import supports
from gexcore.backend.protocols import (
    SupportsCheckpoints,
    SupportsHvp,
    SupportsJvp,
    SupportsKronecker,
    SupportsParams,
    SupportsSampleGradients,
    SupportsSelection,
    SupportsSize,
)
from gexcore.errors import InvalidSettingError
from gexcore.testing._hypothesis import pytest
from gexcore.testing.checks import require
from gexcore.testing.compare import assert_close, numbers
from gexcore.testing.derivatives import directions
from gexcore.testing.kronecker import assert_same_blocks, drawable_seeds
from gexcore.testing.problems import Problem


def check_parameter_names(problem: Problem) -> None:
    """Sizes add up to p. Choosing all changes nothing. Other choices are refused."""
    require(problem, SupportsSelection, SupportsParams)
    backend: Any = problem.backend
    names, flat = backend.parameter_names(), numbers(backend.ravel(backend.initial_state()))
    assert all(size > 0 for size in names.values())
    assert sum(names.values()) == flat.size
    everything = backend.select(set(names))
    assert list(everything.parameter_names().items()) == list(names.items())
    for steps in (0, 2):
        before = problem.observe(problem.walk(backend.initial_state(), steps))
        selected = replace(problem, backend=everything)
        selected.assert_seen(selected.walk(everything.initial_state(), steps), before)
    for wrong in ((), ("no such parameter",), (*names, "no such parameter")):
        told = _refusal(backend, wrong)
        assert any(name in told for name in names), (
            f"{told!r} does not tell which names are allowed"
        )


def check_selected_vector(problem: Problem) -> None:
    """The flat vector and all derivatives have the chosen parameters, in the model's order."""
    require(problem, SupportsSelection, SupportsParams)
    full: Any = problem.backend
    names, batch, start = full.parameter_names(), problem.everything(), full.initial_state()
    before, here = problem.observe(start), numbers(full.ravel(start))
    for chosen in _choices(names):
        selected: Any = full.select(chosen)
        state, where = selected.initial_state(), _where(names, chosen)
        assert list(selected.parameter_names().items()) == [
            (n, k) for n, k in names.items() if n in chosen
        ]
        assert_close(selected.ravel(state), here[where], 0.0)
        assert_close(selected.forward(state, batch), full.forward(start, batch), problem.tolerance)
        part, _ = directions(here[where], 0)
        tangent = np.zeros_like(here)
        tangent[where] = part
        moved = selected.unravel(state, here[where] + part)
        expected = full.forward(full.unravel(start, here + tangent), batch)
        assert_close(selected.forward(moved, batch), expected, problem.tolerance)
        if supports(full, SupportsJvp):
            assert_close(
                selected.jvp(state, part, batch), full.jvp(start, tangent, batch), problem.tolerance
            )
        if supports(full, SupportsHvp):
            product = numbers(full.hvp(start, tangent, batch))[where]
            assert_close(selected.hvp(state, part, batch), product, problem.tolerance)
        if supports(full, SupportsSampleGradients):
            rows = numbers(full.sample_gradients(start, batch))[:, where]
            assert_close(selected.sample_gradients(state, batch), rows, problem.tolerance)
        if supports(full, SupportsKronecker):
            _check_selected_blocks(problem, selected, where)
    problem.assert_seen(start, before)


def check_selected_steps(problem: Problem) -> None:
    """Steps move the chosen parameters, and no others."""
    require(problem, SupportsSelection, SupportsParams)
    full: Any = problem.backend
    names, start = full.parameter_names(), full.initial_state()
    here = numbers(full.ravel(start))
    for chosen in _choices(names):
        mine, where = replace(problem, backend=full.select(chosen)), _where(names, chosen)
        selected: Any = mine.backend
        once, state = (mine.walk(selected.initial_state(), steps) for steps in (1, 3))
        moved = here.copy()
        moved[where] = numbers(selected.ravel(state))
        assert np.abs(moved - here).max() > 0, f"three steps on {chosen} moved nothing"
        expected = problem.settled_losses(full.unravel(start, moved))
        assert_close(mine.settled_losses(state), expected, problem.tolerance)
        if problem.toy is not None:  # their optimisers treat every parameter on its own
            expected = numbers(full.ravel(problem.walk(start, 1)))[where]
            assert_close(selected.ravel(once), expected, problem.tolerance)


def check_checkpoints(problem: Problem) -> None:
    """A checkpoint restores parameters and buffers, with a fresh optimiser."""
    require(problem, SupportsCheckpoints)
    backend: Any = problem.backend
    if problem.checkpoint is None:
        pytest.skip("this problem makes no checkpoints")
    state = problem.walk(backend.initial_state(), 3)
    before = problem.observe(backend.restart(state))
    checkpoint = problem.checkpoint(state)
    problem.assert_seen(backend.load(checkpoint), before)
    problem.walk(backend.load(checkpoint), 2)
    problem.assert_seen(backend.load(checkpoint), before)
    problem.assert_seen(backend.restart(state), before)
    expected = backend.forward(state, problem.everything())
    if supports(backend, SupportsSelection):
        selected: Any = backend.select(list(backend.parameter_names())[-1:])
        losses = selected.forward(selected.load(checkpoint), problem.everything())
        assert_close(losses, expected, problem.tolerance)


def check_model_size(problem: Problem) -> None:
    """The size of the model is that of all parameters, whichever of them are trained."""
    require(problem, SupportsSize, SupportsParams)
    backend: Any = problem.backend
    size, trained = backend.model_size(), len(numbers(backend.ravel(backend.initial_state())))
    assert type(size) is int
    assert size >= trained
    if supports(backend, SupportsSelection):
        for chosen in _choices(backend.parameter_names()):
            selected: Any = backend.select(chosen)
            assert selected.model_size() == size


def _choices(names: Mapping[str, int]) -> list[list[str]]:
    """The last parameter, and every other one in the wrong order."""
    known = list(names)
    return [known[-1:], known[::2][::-1]]


def _where(names: Mapping[str, int], chosen: Collection[str]) -> NDArray[np.intp]:
    """Positions of the chosen parameters in the full vector."""
    ends = np.cumsum(list(names.values()))
    spans = zip(names.items(), ends, strict=True)
    return np.concatenate(
        [np.arange(end - size, end) for (name, size), end in spans if name in chosen]
    )


def _refusal(backend: Any, names: Collection[str]) -> str:
    """The backend's error for these names."""
    try:
        backend.select(names)
    except InvalidSettingError as error:
        return str(error)
    msg = f"{names} were chosen without an error"
    raise AssertionError(msg)


def _check_selected_blocks(problem: Problem, selected: Any, where: NDArray[np.intp]) -> None:
    full: Any = problem.backend
    known, batch = selected.parameter_names(), problem.everything()
    for seed in drawable_seeds(problem):
        blocks = selected.kronecker(selected.initial_state(), batch, seed=seed)
        assert all(block.positions.max() < where.size for block in blocks), (
            "positions of another vector"
        )
        expected = []
        for block in full.kronecker(full.initial_state(), batch, seed=seed):
            if block.name in known:
                # the bias comes last and may not be among them
                own = np.isin(block.positions, where).all(axis=0)
                inputs = numbers(block.inputs)[np.ix_(own, own)]
                expected.append(block._replace(positions=block.positions[:, own], inputs=inputs))
        assert_same_blocks(
            [b._replace(positions=where[b.positions]) for b in blocks], expected, problem.tolerance
        )


LAWS = (
    check_parameter_names,
    check_model_size,
    check_selected_vector,
    check_selected_steps,
    check_checkpoints,
)
