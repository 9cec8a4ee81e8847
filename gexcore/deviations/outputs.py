"""The output of a model that a loss is a function of, found from the loss alone.

Pure functions on arrays of any library that follows the Python array API standard.
"""

from __future__ import annotations

from typing import Literal

from array_api_compat import array_namespace

from gexcore.backend.protocols import Array
from gexcore.evaluation.first_look import FirstLook

Output = Literal["margin", "root", "loss"]
"""The output that stands behind a loss.

"margin" is log p/(1 − p), for a loss with exp(−loss) = p, such as cross-entropy. "root" is the size
of the error, for squared error. "loss" is the loss itself, for every other loss.
"""

SMALLEST, LARGEST = 1e-7, 50.0
"""Bounds of a cross-entropy loss. Its margin is then at most 16 and at least −50."""


def output_of(seen: FirstLook, loss: object) -> Output:
    """The output behind a loss, as far as it is known.

    Parameters
    ----------
    seen : FirstLook
        It tells whether exp(−loss) is the probability of the given class.
    loss : str, callable or None
        Loss as the user gave it.
    """
    if seen.labels is not None and seen.classes is not None and seen.likelihood:
        return "margin"
    return "root" if loss == "squared_error" else "loss"


def output(losses: Array, kind: Output) -> Array:
    """The output m behind each loss ℓ, in the shape of `losses`; a high output is a low loss.

    Parameters
    ----------
    losses : array
    kind : {"margin", "root", "loss"}
        −log(exp(ℓ) − 1), −√ℓ, or −ℓ.

    Examples
    --------
    >>> import numpy as np
    >>> from gexcore.deviations.outputs import output
    >>> output(np.array([np.log(2.0), 4.0]), "margin").round(2)
    array([-0.  , -3.98])
    >>> output(np.array([0.25, 4.0]), "root")
    array([-0.5, -2. ])
    """
    xp = array_namespace(losses)
    if kind == "margin":
        return -xp.log(xp.expm1(_bounded(losses, SMALLEST, LARGEST)))
    if kind == "root":
        return -xp.sqrt(_bounded(losses, 0.0, None))
    return -losses


def slopes(losses: Array, kind: Output) -> Array:
    """How fast a loss falls as its output rises, q = −dℓ/dm, in the shape of `losses`."""
    xp = array_namespace(losses)
    if kind == "margin":
        return -xp.expm1(-_bounded(losses, SMALLEST, LARGEST))
    if kind == "root":
        return 2.0 * xp.sqrt(_bounded(losses, 0.0, None))
    return xp.ones_like(losses)


def curvatures(slope: Array, kind: Output) -> Array:
    """Second derivative of a loss by its output, from its slope q: the Gauss-Newton weight.

    It is q(1 − q) for margins and 2 for roots. A loss of unknown form has the weight 1.
    """
    xp = array_namespace(slope)
    if kind == "margin":
        return slope * (1.0 - slope) + 1e-9
    return xp.full_like(slope, 2.0 if kind == "root" else 1.0)


def _bounded(values: Array, low: float, high: float | None) -> Array:
    xp = array_namespace(values)
    values = xp.where(values < low, xp.full_like(values, low), values)
    return values if high is None else xp.where(values > high, xp.full_like(values, high), values)
