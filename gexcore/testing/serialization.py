"""The law of states as arrays; skipped where the backend has none."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from gexcore.backend.capabilities import supports
from gexcore.backend.protocols import SupportsDonation, SupportsSerialization
from gexcore.testing.checks import require
from gexcore.testing.compare import numbers
from gexcore.testing.problems import Problem


def check_serialization(problem: Problem) -> None:
    """Arrays from a file give back the same state, bit for bit, with its optimiser."""
    require(problem, SupportsSerialization)
    backend: Any = problem.backend
    start = backend.initial_state()
    for state in (start, problem.walk(start, 3), backend.restart(problem.walk(start, 2))):
        arrays = backend.to_arrays(state)
        for name, array in arrays.items():
            assert isinstance(array, np.ndarray), f"{name} is a {type(array).__name__}"
            assert array.dtype.kind in "biuf", f"{name} is of type {array.dtype}"
        back = backend.from_arrays(_through_a_file(arrays))
        for steps in (0, 2):
            told, expected = (problem.observe(problem.walk(s, steps)) for s in (back, state))
            for one, other in zip(told, expected, strict=True):
                assert np.array_equal(one, other), f"{steps} steps on, the state differs"


def check_serialization_is_apart(problem: Problem) -> None:
    """Steps from the state, or from the restored state, do not change the arrays."""
    require(problem, SupportsSerialization)
    backend: Any = problem.backend
    copied = backend.copy if supports(backend, SupportsDonation) else (lambda state: state)
    step = backend.sgd_step_ if supports(backend, SupportsDonation) else backend.sgd_step
    state = copied(problem.walk(backend.initial_state(), 3))
    arrays = backend.to_arrays(state)
    before = {name: array.copy() for name, array in arrays.items()}
    numbers(backend.forward(problem.walk(state, 1), problem.everything()))
    step(state, problem.batch(), lr=problem.lr, seed=0)
    step(copied(backend.from_arrays(arrays)), problem.batch(), lr=problem.lr, seed=0)
    assert before.keys() == arrays.keys()
    for name, array in arrays.items():
        assert np.array_equal(array, before[name]), f"a step changed {name}"


def _through_a_file(arrays: Any) -> dict[str, Any]:
    file = io.BytesIO()
    np.savez(file, **{f"_{name}": array for name, array in arrays.items()})
    file.seek(0)
    with np.load(file, allow_pickle=False) as stored:
        return {name.removeprefix("_"): stored[name] for name in stored.files}


LAWS = (check_serialization, check_serialization_is_apart)
