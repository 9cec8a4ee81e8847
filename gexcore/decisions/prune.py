"""Pruning: an exact number of samples of lowest score goes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gexcore.errors import InvalidDataError, InvalidSettingError


def prune(
    scores: Any, keep: float, *, labels: Any = None, class_quota: bool = False
) -> NDArray[np.intp]:
    """Positions of the samples to keep, ascending: the round(keep · N) of highest score.

    Parameters
    ----------
    scores : array, shape (samples,)
        Scores such as `Influence.self_influence`; high = worth keeping. Wrong labels score high as
        well, so clean them first. Between equal scores the earlier sample is kept.
    keep : float
        Share of the samples to keep, above 0 and at most 1.
    labels : integer array, shape (samples,), optional
        Given classes. With labels no class may vanish.
    class_quota : bool
        Whether nearly that share of every class is kept, and at least one sample, instead of the
        highest of all. The total is still exact.

    Raises
    ------
    InvalidDataError
        If scores are NaN, or labels do not fit the scores.
    InvalidSettingError
        If the share keeps nothing, or a class would vanish.

    Examples
    --------
    >>> from gexcore.decisions.prune import prune
    >>> prune([0.2, 0.9, 0.1, 0.9], 0.5)
    array([1, 3])
    >>> prune([0.2, 0.9, 0.1, 0.9], 0.5, labels=[0, 1, 0, 1], class_quota=True)
    array([0, 1])
    """
    scores = np.asarray(scores, dtype=np.float64)
    count = _count(scores, keep)
    ranking = np.argsort(-scores, kind="stable")
    if labels is None:
        if class_quota:
            raise InvalidSettingError("class_quota needs the given classes; pass labels")
        return np.sort(ranking[:count])
    labels = np.asarray(labels)
    if labels.shape != scores.shape:
        raise InvalidDataError(
            f"labels have shape {labels.shape} and scores {scores.shape}; give one of each "
            "per sample"
        )
    if not class_quota:
        kept = np.sort(ranking[:count])
        refuse_vanished(labels, kept, remedy="keep more, or use the class quota")
        return kept
    classes, codes = np.unique(labels, return_inverse=True)
    quotas = _quotas(np.bincount(codes), count)
    ordered = codes[ranking]
    parts = [ranking[ordered == c][: quotas[c]] for c in range(len(classes))]
    return np.sort(np.concatenate(parts))


def random_subset(
    samples: int, keep: float, *, seed: int, labels: Any = None, class_quota: bool = False
) -> NDArray[np.intp]:
    """A random subset, the baseline of every ranking. Equal seeds keep equal samples."""
    scores = np.random.default_rng(seed).random(samples)
    return prune(scores, keep, labels=labels, class_quota=class_quota)


def refuse_vanished(labels: NDArray[Any], kept: NDArray[np.intp], *, remedy: str) -> None:
    """Refuse a selection that leaves no sample of some class.

    Raises
    ------
    InvalidSettingError
        If a class vanishes. The error names the first one.
    """
    gone = np.setdiff1d(labels, labels[kept])
    if len(gone):
        n = int((labels == gone[0]).sum())
        msg = (
            f"no sample of class {gone[0]} would be left ({n} of {n} removed), and a class must "
            f"not vanish; {remedy}"
        )
        raise InvalidSettingError(msg)


def _count(scores: NDArray[np.float64], keep: float) -> int:
    if scores.ndim != 1 or np.isnan(scores).any():
        told = (
            f"have shape {scores.shape}"
            if scores.ndim != 1
            else f"are NaN for {int(np.isnan(scores).sum())} samples"
        )
        raise InvalidDataError(
            f"the scores {told}; give one number per sample, such as suspicion()"
        )
    count = round(keep * len(scores)) if 0 < keep <= 1 else 0
    if not count:
        msg = (
            f"keep is {keep}, and must be a share above 0 (one of the {len(scores)} samples at "
            "least) and at most 1"
        )
        raise InvalidSettingError(msg)
    return count


def _quotas(sizes: NDArray[np.intp], count: int) -> NDArray[np.intp]:
    """Quotas with the sum `count`: one sample per class, the rest by largest remainders."""
    if count < len(sizes):
        msg = (
            f"{count} samples are to be kept of {len(sizes)} classes, and a class must not "
            "vanish; keep more"
        )
        raise InvalidSettingError(msg)
    spare = sizes - 1
    shares = spare * (count - len(sizes)) / max(spare.sum(), 1)
    quotas = np.floor(shares).astype(np.intp)
    missing = count - len(sizes) - int(quotas.sum())
    quotas[np.argsort(quotas - shares, kind="stable")[:missing]] += 1
    return np.asarray(quotas + 1)
