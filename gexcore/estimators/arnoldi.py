"""Arnoldi: the influence function within the dominant eigenvectors of the Hessian."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from gexcore.backend.protocols import SupportsHvp, SupportsParams
from gexcore.ensembles.krylov import arnoldi
from gexcore.estimators.influence_function import curved
from gexcore.estimators.method import GradientMethod
from gexcore.estimators.results import name_of
from gexcore.evaluation.derivatives import hessian_product
from gexcore.evaluation.opening import Opened
from gexcore.evaluation.passes import Passes
from gexcore.influence.influence import Influence
from gexcore.progress import progress_bar
from gexcore.settings import Auto, check_choice, check_count, check_number, check_seed


@dataclass(frozen=True, kw_only=True)
class Arnoldi(GradientMethod[Influence]):
    """I(z', z) = Σ_i (u_iᵀg')(u_iᵀg) / λ_i over R dominant eigenvalues (Schioppa et al. 2022).

    In the form of Theorem 4.1 the members are the points √R · abs(λ_i)^(−½) · u_i. Their weights
    are sign(λ_i). All products use the Hessian of one fixed sample of the training data.
    Eigenvalues are ordered by size. The paper's public code takes another mini-batch for each
    product and the algebraically largest eigenvalues. It gives NaN if one of them is negative.

    Parameters
    ----------
    iterations : int
        Number of Hessian products: the dimension of the Krylov space.
    rank : int
        Number R of eigenvalues, at most `iterations`.
    damping : float
        Number added to every eigenvalue.
    weight_decay : float
        Weight decay of the training, if its loss had ½ · weight_decay · ‖θ‖². It is part of the
        Hessian.
    samples : int
        The most training samples in the Hessian.
    parameters, batch_size
        See `gexcore.estimators.method.GradientMethod`.
    order : {"size", "value"}
        Order of the eigenvalues, of which the first are kept: by size, or with their sign.
    starts : int or "auto"
        Random vectors at the start of the Krylov space, at most `iterations`: so many eigenvectors
        of one eigenvalue can be found. "auto" is the number of outputs under a squared error, whose
        Hessian has each eigenvalue so often, and else 1.
    seed : int
        Seed of the start vector and the sample.

    Examples
    --------
    >>> import numpy as np
    >>> import gexcore as gx
    >>> from gexcore_numpy import MLP
    >>> x = np.random.default_rng(0).normal(size=(30, 2))
    >>> model = MLP([np.array([[-1.0, 1.0], [-1.0, 1.0]])], [np.zeros(2)])
    >>> data = x, (x[:, 0] > 0).astype(int)
    >>> found = gx.Arnoldi(iterations=6, rank=3).fit(model, data, progress=False)
    >>> len(found.table)
    3
    """

    iterations: int = 100
    rank: int = 20
    damping: float = 0.0
    weight_decay: float = 0.0
    samples: int = 10_000
    order: Literal["size", "value"] = "size"
    starts: int | Auto = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("iterations", "rank", "samples"):
            check_count(name, getattr(self, name), auto=False)
        check_count("starts", self.starts)
        check_seed(self.seed)
        check_number("damping", self.damping)
        check_number("weight_decay", self.weight_decay)
        check_choice("order", self.order, ("size", "value"))

    @classmethod
    def public_code(cls, **settings: Any) -> Arnoldi:
        """The setting of the paper's public code: 49 products, eigenvalues with their sign.

        Its mini-batch per product and its NaN for a negative eigenvalue are not reproduced.
        """
        return cls(**{"iterations": 49, "order": "value", **settings})

    def _needs(self) -> tuple[type, ...]:
        return (SupportsParams, SupportsHvp)

    def _score(self, given: Opened) -> Influence:
        rng = np.random.default_rng([self.seed, 0xA2])
        chosen = np.sort(rng.permutation(len(given.data))[: self.samples])
        product = hessian_product(
            given.backend,
            given.backend.initial_state(),
            given.data,
            chosen,
            batch_size=self.batch_size,
            weight_decay=self.weight_decay,
        )
        products = 0
        with progress_bar(
            self.iterations, title=name_of(self), show=given.progress, unit="product"
        ) as bar:

            def count() -> None:
                nonlocal products
                products += 1
                bar.advance("")

            spectrum = arnoldi(
                product,
                given.size,
                iterations=self.iterations,
                rng=rng,
                starts=self._starts(given),
                on_product=count,
            )
        cost = Passes(hvp=products * len(chosen), copies=products)
        return curved(
            self, given, spectrum.top(self.rank, by=self.order), cost, damping=self.damping
        )

    def _starts(self, given: Opened) -> int:
        if self.starts != "auto":
            return self.starts
        # squared errors of K outputs: the last layer has each eigenvalue K times
        targets = given.seen.targets
        squared = given.seen.labels is None and targets is not None and targets.ndim == 2
        return targets.shape[1] if squared and targets is not None else 1
