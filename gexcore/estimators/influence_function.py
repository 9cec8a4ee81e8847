"""IF: the influence function with the exact, damped or truncated Hessian."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gexcore.backend.protocols import SupportsHvp, SupportsParams
from gexcore.ensembles.directions import Tangents
from gexcore.ensembles.spectrum import Spectrum, full_spectrum
from gexcore.errors import InvalidSettingError
from gexcore.estimators.method import GradientMethod
from gexcore.estimators.results import check_hessian, linear, name_of
from gexcore.evaluation.derivatives import hessian_product
from gexcore.evaluation.opening import Opened
from gexcore.evaluation.passes import Passes
from gexcore.influence.influence import Influence
from gexcore.progress import progress_bar
from gexcore.settings import check_count, check_number


@dataclass(frozen=True, kw_only=True)
class IF(GradientMethod[Influence]):
    """I(z', z) = g'ᵀ (H + αI)⁻¹ g (paper Eq. 2 and 15; Koh & Liang 2017), exactly.

    In the form of Theorem 4.1 the members are the eigenvectors of H. Their deviations are √P · uᵀg
    / √|λ + α|. A member with negative λ + α counts negatively. Training without z changes the loss
    of z' by about I / N. The method takes up to 5,000 parameters. With more, choose some of them
    (`LastLayer`), or take `Arnoldi`, `LiSSA` or `Laplace`.

    Parameters
    ----------
    damping : float
        Damping α. Without it negligible eigenvalues are left out (pseudo-inverse).
    rank : int, optional
        Number of eigenvalues to keep, largest in size. All by default.
    weight_decay : float
        Weight decay of the training, if its loss had ½ · weight_decay · ‖θ‖². It is part of H.
    parameters, batch_size
        See `gexcore.estimators.method.GradientMethod`.

    Examples
    --------
    >>> import numpy as np
    >>> import gexcore as gx
    >>> from gexcore_numpy import MLP
    >>> x = np.random.default_rng(0).normal(size=(30, 2))
    >>> model = MLP([np.array([[-1.0, 1.0], [-1.0, 1.0]])], [np.zeros(2)])
    >>> influence = gx.IF(damping=0.1).fit(model, (x, (x[:, 0] > 0).astype(int)), progress=False)
    >>> influence.influence().shape
    (30, 30)
    """

    damping: float = 0.01
    rank: int | None = None
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("damping", self.damping)
        check_number("weight_decay", self.weight_decay)
        if self.rank is not None:
            check_count("rank", self.rank, auto=False)

    def _needs(self) -> tuple[type, ...]:
        return (SupportsParams, SupportsHvp)

    def _score(self, given: Opened) -> Influence:
        spectrum, cost = exact_spectrum(self, given, weight_decay=self.weight_decay)
        return curved(self, given, spectrum.top(self.rank), cost, damping=self.damping)


def exact_spectrum(
    method: Any, given: Opened, *, weight_decay: float = 0.0
) -> tuple[Spectrum, Passes]:
    """All eigenvalues of the Hessian of the mean training loss, and their passes.

    Raises
    ------
    InvalidSettingError
        If there are too many parameters.
    """
    check_hessian(method, given)
    state, everything = given.backend.initial_state(), np.arange(len(given.data))
    product = hessian_product(
        given.backend,
        state,
        given.data,
        everything,
        batch_size=method.batch_size,
        weight_decay=weight_decay,
    )
    with progress_bar(
        given.size, title=name_of(method), show=given.progress, unit="product"
    ) as bar:
        spectrum = full_spectrum(product, given.size, on_product=lambda: bar.advance(""))
    return spectrum, Passes(hvp=given.size * len(given.data), copies=2 * given.size)


def curved(
    method: Any, given: Opened, spectrum: Spectrum, cost: Passes, *, damping: float
) -> Influence:
    """The influence function in the space of given eigenvectors.

    Raises
    ------
    InvalidSettingError
        If every eigenvalue is zero.
    """
    moves, weights = spectrum.inverse(damping)
    if not len(moves):
        msg = (
            f"the Hessian is zero at this model, and {name_of(method)} has nothing to invert; set "
            "damping above 0, or check the model"
        )
        raise InvalidSettingError(msg)
    members = Tangents(
        given.backend, [given.backend.initial_state()], moves, method.batch_size, weights=weights
    )
    eigenvalues = spectrum.values
    told = {}
    if spectrum.residuals is not None:
        told["residual"] = float(spectrum.residuals.max() / np.abs(eigenvalues).max())
    return linear(
        method,
        given,
        members,
        [cost],
        eigenvalues=len(moves),
        negative=int((weights < 0).sum()),
        largest=float(eigenvalues.max()),
        smallest=float(eigenvalues.min()),
        **told,
    )
