"""TracIn: products of gradients at checkpoints of the training."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gexcore.backend.protocols import SupportsCheckpoints, SupportsParams, SupportsSampleGradients
from gexcore.ensembles.checkpoints import Gradients, load_states
from gexcore.estimators.method import GradientMethod
from gexcore.estimators.results import influence_of, name_of, record
from gexcore.evaluation.opening import Opened
from gexcore.influence.influence import Influence
from gexcore.progress import progress_bar


@dataclass(frozen=True, kw_only=True)
class TracIn(GradientMethod[Influence]):
    """I(z', z) = (1/C) Σ_c g'_c · g_c over C checkpoints (paper Eq. 5; Pruthi et al. 2020).

    In the form of Theorem 4.1 the members are the coordinates of the gradient at each checkpoint.
    Checkpoints count equally, as in the paper. Pruthi et al. weigh each checkpoint by its learning
    rate.

    Parameters
    ----------
    checkpoints : sequence
        Checkpoints of the training in the framework's form: state dicts of PyTorch, parameters of
        JAX, weights of Keras, models of NumPy.
    parameters, batch_size
        See `gexcore.estimators.method.GradientMethod`.

    Examples
    --------
    >>> import numpy as np
    >>> import gexcore as gx
    >>> from gexcore_numpy import MLP
    >>> x = np.random.default_rng(0).normal(size=(30, 2))
    >>> weights = np.array([[-1.0, 1.0], [-1.0, 1.0]])
    >>> early, late = (MLP([s * weights], [np.zeros(2)]) for s in (0.1, 1.0))
    >>> tracin = gx.TracIn(checkpoints=[early, late])
    >>> tracin.fit(late, (x, (x[:, 0] > 0).astype(int)), progress=False).self_influence().shape
    (30,)
    """

    checkpoints: Sequence[Any]

    def _needs(self) -> tuple[type, ...]:
        return (SupportsParams, SupportsSampleGradients, SupportsCheckpoints)

    def _score(self, given: Opened) -> Influence:
        states = load_states(given.backend, self.checkpoints, by=name_of(self))
        members = Gradients(given.backend, states, given.size, self.batch_size)
        table = members.evaluate(given.data)
        batches = len(states) * math.ceil(table.samples / table.step)
        with progress_bar(batches, title=name_of(self), show=given.progress, unit="batch") as bar:
            table = table.measured(lambda: bar.advance(""))
        tables = [table] if given.test is None else [table, members.evaluate(given.test)]
        cost = [members.passes(table.samples)]
        run = record(self, given, cost, checkpoints=len(states))
        return influence_of(given, members, tables, run)
