"""Laws of refusals: one type of error and one wording in every backend."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from gexcore.backend.data import targets_of, to_numpy
from gexcore.backend.protocols import SupportsBufferRefresh, SupportsParams, SupportsSelection
from gexcore.backend.refusals import check_batches, check_names, check_vector
from gexcore.errors import GexError, InvalidDataError
from gexcore.testing._hypothesis import pytest
from gexcore.testing.checks import require
from gexcore.testing.problems import Problem


def check_refuses_no_batches(problem: Problem) -> None:
    """Statistics from no batches are refused."""
    require(problem, SupportsBufferRefresh)
    backend: Any = problem.backend
    state = backend.initial_state()
    _same(partial(check_batches, []), partial(backend.refresh_buffers, state, []))


def check_refuses_other_vectors(problem: Problem) -> None:
    """A vector of another shape than that of the parameters is refused."""
    require(problem, SupportsParams)
    backend: Any = problem.backend
    state = backend.initial_state()
    size = len(to_numpy(backend.ravel(state)))
    for shape in ((size + 1,), (size, 1)):
        refused = partial(backend.unravel, state, np.ones(shape))
        _same(partial(check_vector, shape, size), refused)


def check_refuses_other_names(problem: Problem) -> None:
    """Names that are no trainable parameters, and an empty choice, are refused."""
    require(problem, SupportsSelection)
    backend: Any = problem.backend
    known = list(backend.parameter_names())
    for names in ([], ["no such parameter"]):
        _same(partial(check_names, names, known), partial(backend.select, names))


def check_refuses_other_labels(problem: Problem) -> None:
    """A label that is no class of the model is refused, and the error names it."""
    batch = problem.everything()
    if not (problem.classifies and isinstance(batch, tuple) and len(batch) == 2):
        pytest.skip("the problem has no pairs of inputs and classes")
    labels = to_numpy(targets_of(batch)).copy()
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        pytest.skip("the problem has no integer classes, one per sample")
    labels[0] = 99
    state = problem.backend.initial_state()
    error = _error_of(partial(problem.backend.forward, state, (batch[0], labels)))
    assert isinstance(error, InvalidDataError)
    assert str(error).startswith("label 99 is ")


def _same(expected: Callable[[], object], refused: Callable[[], object]) -> None:
    shared, found = _error_of(expected), _error_of(refused)
    assert (type(found), str(found)) == (type(shared), str(shared))


def _error_of(call: Callable[[], object]) -> GexError | None:
    try:
        call()
    except GexError as error:
        return error
    return None


LAWS = (
    check_refuses_no_batches,
    check_refuses_other_vectors,
    check_refuses_other_names,
    check_refuses_other_labels,
)
