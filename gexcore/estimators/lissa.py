"""LiSSA: the influence function by an iterated solve for each test sample."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gexcore.backend.capabilities import require
from gexcore.backend.data import to_numpy
from gexcore.backend.protocols import (
    Dataset,
    Floats,
    SupportsHvp,
    SupportsParams,
    SupportsSampleGradients,
)
from gexcore.errors import InvalidSettingError
from gexcore.estimators.method import GradientMethod
from gexcore.estimators.results import name_of, record
from gexcore.evaluation.derivatives import GRADIENT_BUDGET, directional, hessian_product
from gexcore.evaluation.opening import Opened
from gexcore.evaluation.others import test_data
from gexcore.evaluation.passes import Passes, sum_passes
from gexcore.influence.record import Run
from gexcore.influence.scores import Scored, Scores
from gexcore.progress import progress_bar
from gexcore.settings import check_count, check_number, check_seed


@dataclass(frozen=True, kw_only=True)
class LiSSA(GradientMethod["Solved"]):
    """g'ᵀ (H + αI)⁻¹ g by the iteration r ← v + (1 − damping) r − H_B r / scale.

    The method is from Agarwal et al. (2017) and Koh & Liang (2017). The result is r / scale. Its
    fixed point has the *effective damping* α = scale · damping. It converges if all eigenvalues of
    H / scale + damping lie between 0 and 2. It takes about as many steps as there are samples. It
    solves anew for each test sample, so it is no mean over members.

    Parameters
    ----------
    depth : int
        Number of steps of a solve.
    scale : float
        Number above the largest eigenvalue of the Hessian of any batch. A lower scale makes the
        solve diverge.
    damping : float
        Damping, at least 0 and below 1.
    repeats : int
        Number of solves with other batches, which are averaged.
    weight_decay : float
        Weight decay of the training, if its loss had ½ · weight_decay · ‖θ‖². It is part of the
        Hessian.
    batch_size : int
        Random samples in the Hessian of each step. Smaller data count whole.
    parameters
        See `gexcore.estimators.method.GradientMethod`.
    seed : int
        Seed of the batches, which are the same for every test sample.

    Examples
    --------
    >>> import numpy as np
    >>> import gexcore as gx
    >>> from gexcore_numpy import MLP
    >>> x = np.random.default_rng(0).normal(size=(30, 2))
    >>> model = MLP([np.array([[-1.0, 1.0], [-1.0, 1.0]])], [np.zeros(2)])
    >>> data = x, (x[:, 0] > 0).astype(int)
    >>> method = gx.LiSSA(depth=50, scale=2.0, damping=0.05)
    >>> solved = method.fit(model, data, progress=False)
    >>> solved.influence((x[:3], np.array([0, 1, 0]))).shape
    (3, 30)
    """

    depth: int = 1000
    scale: float = 10.0
    damping: float = 0.001
    repeats: int = 1
    weight_decay: float = 0.0
    batch_size: int = 128
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("depth", "repeats"):
            check_count(name, getattr(self, name), auto=False)
        check_seed(self.seed)
        check_number("scale", self.scale, above=True)
        check_number("weight_decay", self.weight_decay)
        check_number("damping", self.damping)
        if self.damping >= 1:
            msg = (
                f"damping is {self.damping}, and must be below 1; the effective damping is scale "
                "· damping"
            )
            raise InvalidSettingError(msg)

    def _needs(self) -> tuple[type, ...]:
        return (SupportsParams, SupportsHvp, SupportsSampleGradients)

    def _score(self, given: Opened) -> Solved:
        hvp = self.depth * self.repeats * min(self.batch_size, len(given.data))
        return Solved(
            self,
            given,
            record(self, given, [], effective_damping=self.scale * self.damping, hvp_per_solve=hvp),
        )

    def solve(self, given: Opened, vectors: Floats) -> Floats:
        """(H + αI)⁻¹ v for each row v, shape (rows, p).

        Raises
        ------
        InvalidSettingError
            If the iteration diverges.
        """
        total = np.zeros(vectors.shape)
        with progress_bar(
            len(vectors) * self.repeats, title=name_of(self), show=given.progress, unit="solve"
        ) as bar:
            for row, vector in zip(total, vectors, strict=True):
                for repeat in range(self.repeats):
                    row += self._iterate(given, vector, repeat) / (self.repeats * self.scale)
                    bar.advance("")
        return total

    def _iterate(self, given: Opened, vector: Floats, repeat: int) -> Floats:
        rng, state, n = (
            np.random.default_rng([self.seed, 0x15, repeat]),
            given.backend.initial_state(),
            len(given.data),
        )
        length, r = float(np.linalg.norm(vector)), vector
        for step in range(self.depth):
            chosen = np.arange(n)
            if self.batch_size < n:
                chosen = np.sort(rng.choice(n, self.batch_size, replace=False))
            product = hessian_product(
                given.backend,
                state,
                given.data,
                chosen,
                batch_size=self.batch_size,
                weight_decay=self.weight_decay,
            )
            r = vector + (1 - self.damping) * r - product(r) / self.scale
            # a contracting iteration never exceeds this length
            if not np.linalg.norm(r) <= (step + 2) * length * (1 + 1e-6):
                msg = (
                    f"LiSSA diverges at step {step + 1}: the Hessian has eigenvalues outside what "
                    f"scale {self.scale:g} and damping {self.damping:g} allow; raise scale, or "
                    "damping where they are negative"
                )
                raise InvalidSettingError(msg)
        return r


@dataclass(frozen=True, repr=False, eq=False)
class Solved(Scored):
    """Influences that are solved on demand.

    Parameters
    ----------
    method : LiSSA
    given : Opened
        The model and data it is about.
    run : Run
        Record of the fit alone. ``chosen["hvp_per_solve"]`` is the number of products per test
        sample.
    """

    method: LiSSA
    given: Opened
    run: Run

    @property
    def labels(self) -> NDArray[np.intp] | None:  # type: ignore[override]
        """Given classes, shape (samples,)."""
        return self.given.seen.labels

    def __len__(self) -> int:
        return len(self.given.data)

    def __repr__(self) -> str:
        alpha = self.run.chosen["effective_damping"]
        return (
            f"<Solved by LiSSA: {len(self)} samples, effective damping {alpha:g}; influence(test): "
            "g'ᵀ(H + αI)⁻¹g, + = helpful; self_influence(): that of each sample on itself, one "
            "solve each>"
        )

    def passes(self, solves: int) -> Passes:
        """Passes of this many solves. `influence` also takes one jvp of every sample per solve."""
        return Passes(hvp=solves * self.run.chosen["hvp_per_solve"], gradient=solves)

    def influence(self, test: Any = None) -> Floats:
        """I = g'ᵀ (H + αI)⁻¹ g, shape (tests, samples).

        Removing z changes the loss of z' by about I / N.

        Parameters
        ----------
        test : data, optional
            Test samples. The default is the test data of the fit. Without test data it is the
            training set: N solves.

        Raises
        ------
        InvalidSettingError
            If the iteration diverges.
        """
        dataset = self.given.data if self.given.test is None else self.given.test
        if test is not None:
            dataset = test_data(test, self.given.names, self.given.backend)
        rows = [
            directional(
                self.given.backend,
                [self._state],
                solved,
                self.given.data,
                batch_size=self.method.batch_size,
            )
            for _, solved in self._solved(dataset)
        ]
        return np.concatenate(rows)

    def self_influence(self) -> Floats:
        """gᵀ (H + αI)⁻¹ g, shape (samples,), with one solve per sample of the training set.

        Raises
        ------
        InvalidSettingError
            If the iteration diverges.
        """
        return self._solved_self.copy()

    def scores(self) -> Scores:
        """Self-influence as a score; high = memorised."""
        return Scores(
            self.self_influence(), self.labels, "self-influence", "mislabelled", self.so_far()
        )

    def so_far(self) -> Run:
        """The record, with the solves of `self_influence` once they are done."""
        if "_solved_self" not in vars(self):
            return self.run
        passes = sum_passes([self.run.passes, self.passes(len(self))])
        return replace(self.run, passes=passes)

    @cached_property
    def _solved_self(self) -> Floats:
        products = [
            np.einsum("np,np->n", gradients, solved)
            for gradients, solved in self._solved(self.given.data)
        ]
        return np.concatenate(products)

    @property
    def _state(self) -> Any:
        return self.given.backend.initial_state()

    def _solved(self, dataset: Dataset[Any]) -> Iterator[tuple[Floats, Floats]]:
        """Gradients of samples and their solutions, both of shape (b, p)."""
        able = require(self.given.backend, SupportsSampleGradients, by="LiSSA")
        size = min(self.method.batch_size, max(1, GRADIENT_BUDGET // self.given.size))
        for start in range(0, len(dataset), size):
            batch = dataset.batch(np.arange(start, min(start + size, len(dataset))))
            gradients = to_numpy(able.sample_gradients(self._state, batch)).astype(np.float64)
            yield gradients, self.method.solve(self.given, gradients)
