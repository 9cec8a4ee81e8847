"""Targets drawn from the predictions of a model, equal in every framework."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gexcore.errors import InvalidSettingError

DRAWABLE = (None, "cross_entropy", "squared_error")
"""Names of losses that are negative log-likelihoods. None is the default loss.
"""


def not_drawable(loss: object) -> InvalidSettingError:
    """The refusal to draw targets under a loss outside `DRAWABLE`."""
    given = repr(loss) if isinstance(loss, str) else "a function"
    msg = (
        f"targets cannot be drawn where the loss is {given}, only for 'cross_entropy' and "
        "'squared_error'; give seed=None, which takes the given targets"
    )
    return InvalidSettingError(msg)


def sample_targets(
    logits: NDArray[np.floating], *, seed: int, squared_error: bool = False
) -> NDArray[np.generic]:
    """One target per sample, from the distribution whose negative log-likelihood is the loss.

    Parameters
    ----------
    logits : array, shape (b, K)
        Class scores, or predictions for squared error.
    seed : int
    squared_error : bool
        Whether targets are normal around the predictions, with variance ½ and the same shape.

    Returns
    -------
    array
        Classes 0 … K − 1, shape (b,). For squared error, numbers of the shape of `logits`.

    Examples
    --------
    >>> import numpy as np
    >>> from gexcore.backend.drawing import sample_targets
    >>> sample_targets(np.array([[9.0, -9.0], [-9.0, 9.0]]), seed=0)
    array([0, 1])
    """
    rng = np.random.default_rng(seed)
    if squared_error:
        return np.asarray(logits + np.sqrt(0.5) * rng.normal(size=logits.shape), dtype=logits.dtype)
    # in float64, so that a seed gives the same targets in every framework
    z = np.asarray(logits, dtype=np.float64)
    p = np.exp(z - z.max(axis=1, keepdims=True)).cumsum(axis=1)
    drawn = rng.random((len(z), 1)) * p[:, -1:]
    return np.asarray((drawn >= p).sum(axis=1), dtype=np.intp)
