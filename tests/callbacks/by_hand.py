"""Records of real trainings against records that were kept by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gexcore.scores import AUM, EL2N, Forgetting, MeanMemberLoss, Recorder


def by_hand(
    steps: Sequence[tuple[Any, Any]], labels: Any, *, per_epoch: int, losses: bool = False
) -> Recorder:
    """A recorder of the (positions, logits) of every step, in order."""
    recorder = Recorder(samples=len(labels))
    for number, (indices, logits) in enumerate(steps, start=1):
        given = {"losses": cross_entropy(logits, labels[indices])} if losses else {}
        recorder.add(indices, logits=logits, labels=labels[indices], **given)
        if number % per_epoch == 0:
            recorder.epoch()
    return recorder


def cross_entropy(logits: Any, labels: Any) -> Any:
    """Losses of a batch, shape (b,)."""
    z = np.asarray(logits, np.float64)
    z = z - z.max(axis=1, keepdims=True)
    return np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(z)), labels]


def assert_same_scores(found: Recorder, wanted: Recorder) -> None:
    """Every score of a recorder is the same, to float32."""
    for name, method in {
        "EL2N": lambda r: EL2N(recorder=r, epoch=r.epochs[-1]),
        "AUM": lambda r: AUM(recorder=r),
        "Forgetting": lambda r: Forgetting(recorder=r),
    }.items():
        a, b = method(found).fit().values, method(wanted).fit().values
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)
        # scores that are all equal prove nothing; an easy training forgets nothing
        assert name == "Forgetting" or len(np.unique(np.round(b, 4))) > 1
    if not np.isnan(wanted._ended["losses"][0]).all():
        a, b = (MeanMemberLoss(recorder=r).fit().values for r in (found, wanted))
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)
