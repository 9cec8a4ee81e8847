"""Laplace: influence from draws of the Laplace posterior around θ*."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gexcore.backend.capabilities import require
from gexcore.backend.protocols import Dataset, SupportsHvp, SupportsKronecker, SupportsParams
from gexcore.deviations.blocks import parts
from gexcore.deviations.outputs import output_of
from gexcore.deviations.table import LossTable
from gexcore.ensembles.kronecker import kronecker_posterior
from gexcore.ensembles.members import Members
from gexcore.ensembles.skill import default_clip
from gexcore.errors import AllMembersDivergedError, InvalidSettingError
from gexcore.estimators.influence_function import exact_spectrum
from gexcore.estimators.method import GradientMethod
from gexcore.estimators.results import name_of, record
from gexcore.evaluation.losses import STATE_BUDGET, evaluate_many
from gexcore.evaluation.opening import Opened
from gexcore.evaluation.passes import Passes
from gexcore.evaluation.statistics import Refresher
from gexcore.influence.loss_influence import LossInfluence
from gexcore.progress import progress_bar
from gexcore.settings import check_choice, check_count, check_number, check_seed

Losses = NDArray[Any]
Draw = Callable[[np.random.Generator], NDArray[np.float64]]
"""ψ − θ* of one draw, shape (p,)."""


@dataclass(frozen=True, kw_only=True)
class Laplace(GradientMethod[LossInfluence]):
    """Mean product of loss deviations over draws of ψ ∼ N(θ*, τ²(H + αI)⁻¹) (paper Eq. 12).

    The losses are those of the drawn networks, as in Eq. 12. The public code takes losses of
    linearised networks. Linear deviations with τ = 1 give `IF` (Theorem 4.1). Influence is τ² times
    that of `IF` as long as losses are linear over the spread of the draws. Statistics of BatchNorm
    are estimated anew for each draw.

    Parameters
    ----------
    structure : {"kfac", "full"}
        Form of H. "kfac" is a Kronecker-factored Fisher matrix for each linear and convolutional
        layer; other parameters stay at θ*. "full" is the Hessian itself, for up to 5,000
        parameters.
    damping : float
        Damping α, which includes a weight decay of the training. Draws spread by τ/√α where H is
        flat.
    scale : float
        Scale τ. 1 is Eq. 12, and 1/√N is the posterior of N samples. With the default, losses of a
        large network still follow from its curvature at θ*.
    rank : int, optional
        Number of eigenvalues of the full Hessian to keep, largest in size.
    samples : int
        Number of draws.
    fisher : {"true", "empirical"}
        Labels of the gradients of "kfac": drawn from the model's predictions, or the given ones.
    keep : int
        Number of draws kept in memory, for test sets and label suggestions after the fit.
    parameters, batch_size
        See `gexcore.estimators.method.GradientMethod`.
    seed : int
        Seed of the draws.

    Examples
    --------
    >>> import numpy as np
    >>> import gexcore as gx
    >>> from gexcore_numpy import MLP
    >>> x = np.random.default_rng(0).normal(size=(30, 2))
    >>> model = MLP([np.array([[-1.0, 1.0], [-1.0, 1.0]])], [np.zeros(2)])
    >>> found = gx.Laplace(samples=16).fit(model, (x, (x[:, 0] > 0).astype(int)), progress=False)
    >>> found.losses.shape
    (16, 30)
    """

    structure: Literal["kfac", "full"] = "kfac"
    damping: float = 0.01
    scale: float = 0.01
    rank: int | None = None
    samples: int = 32
    fisher: Literal["true", "empirical"] = "true"
    keep: int = 8
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count("samples", self.samples, auto=False)
        check_choice("structure", self.structure, ("kfac", "full"))
        check_choice("fisher", self.fisher, ("true", "empirical"))
        check_number("damping", self.damping, above=self.structure == "kfac")
        check_number("scale", self.scale, above=True)
        check_count("keep", self.keep, least=0, auto=False)
        check_seed(self.seed)
        if self.rank is not None:
            check_count("rank", self.rank, auto=False)
            if self.structure == "kfac":
                raise InvalidSettingError(
                    "rank truncates the full Hessian; leave it out, or set structure='full'"
                )

    @classmethod
    def public_code(
        cls, *, n: int, sigma: float = 1e-4, alpha: float = 1e-4, **settings: Any
    ) -> Laplace:
        """The posterior of the paper's public code for `n` samples: N(θ*, (nF/σ² + I/α²)⁻¹).

        Its losses of linearised networks are not reproduced.
        """
        check_count("n", n, auto=False)
        for name, value in (("sigma", sigma), ("alpha", alpha)):
            check_number(name, value, above=True)
        return cls(
            **{"damping": (sigma / alpha) ** 2 / n, "scale": sigma / math.sqrt(n), **settings}
        )

    def _needs(self) -> tuple[type, ...]:
        return (SupportsParams, SupportsKronecker if self.structure == "kfac" else SupportsHvp)

    def _score(self, given: Opened) -> LossInfluence:
        draw, cost = self._posterior(given)
        refresh = Refresher(given.backend, given.data, seed=self.seed)
        datasets = [given.data] if given.test is None else [given.data, given.test]
        losses, kept = self._draws(given, draw, refresh, datasets)
        if not losses:
            msg = f"all {self.samples} draws have non-finite losses; lower scale, or raise damping"
            raise AllMembersDivergedError(msg)
        first = np.arange(len(kept))
        members = Members(given.backend, refresh, self.batch_size, first, first, kept)
        tables = [
            LossTable(np.stack(rows), members.base(data), np.arange(len(rows)))
            for rows, data in zip(zip(*losses, strict=True), datasets, strict=True)
        ]
        once = sum(map(len, datasets)) + refresh.samples
        passes = Passes(forward=(self.samples + 1) * once, copies=len(kept))
        return LossInfluence(
            table=tables[0],
            checkpoint_losses=given.seen.losses.astype(np.float64),
            likelihood=given.seen.likelihood,
            several=given.seen.several,
            labels=given.seen.labels,
            data=given.data,
            members=members,
            run=record(self, given, [cost, passes], diverged=self.samples - len(losses)),
            test_table=tables[1] if len(tables) > 1 else None,
            clip=default_clip(given.seen.classes),
            output=output_of(given.seen, given.loss),
        )

    def _draws(
        self, given: Opened, draw: Draw, refresh: Refresher, datasets: Sequence[Dataset[Any]]
    ) -> tuple[list[list[Losses]], list[Any]]:
        """Finite losses of the draws on each dataset, and some states of the draws."""
        losses: list[list[Losses]] = []
        kept: list[Any] = []
        rng, trained = np.random.default_rng([self.seed, 0x1A]), given.backend.initial_state()
        able = require(given.backend, SupportsParams, by=name_of(self))
        with progress_bar(
            self.samples, title=name_of(self), show=given.progress, unit="draw"
        ) as bar:
            for part in parts(self.samples, max(1, STATE_BUDGET // given.size)):
                states = [
                    able.unravel(trained, given.theta + draw(rng))
                    for _ in range(part.start, part.stop)
                ]
                scored = refresh.many(states)
                found = [
                    evaluate_many(given.backend, scored, data, batch_size=self.batch_size)
                    for data in datasets
                ]
                for state, *rows in zip(states, *found, strict=True):
                    if _finite(rows[0]):
                        losses.append(rows)
                        kept += [state] if len(kept) < self.keep else []
                    bar.advance("")
        return losses, kept

    def _posterior(self, given: Opened) -> tuple[Draw, Passes]:
        if self.structure == "full":
            spectrum, cost = exact_spectrum(self, given)
            spectrum = spectrum.top(self.rank)
            return lambda rng: self.scale * spectrum.draw(self.damping, rng), cost
        batches = math.ceil(len(given.data) / self.batch_size)
        with progress_bar(
            batches, title=f"{name_of(self)}: factors", show=given.progress, unit="batch"
        ) as bar:
            posterior = kronecker_posterior(
                given.backend,
                given.backend.initial_state(),
                given.data,
                size=given.size,
                batch_size=self.batch_size,
                seed=self.seed if self.fisher == "true" else None,
                on_batch=lambda: bar.advance(""),
            )
        return lambda rng: posterior.draw(rng, damping=self.damping, scale=self.scale), Passes(
            gradient=len(given.data)
        )


def _finite(losses: Losses) -> bool:
    with np.errstate(over="ignore"):
        return bool(np.isfinite(np.square(losses)).all())
