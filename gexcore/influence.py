"""What a fit returns: every influence and score as a view of one table of losses."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gexcore import deviations as dv
from gexcore.decisions.threshold import Threshold, valley_or_refuse
from gexcore.ensembles.members import Members
from gexcore.errors import InvalidDataError, InvalidSettingError
from gexcore.protocols import Dataset
from gexcore.run import Run
from gexcore.table import LossTable
from gexcore.uncertainty import jackknife, member_groups

if TYPE_CHECKING:
    import pandas as pd

BLOCK = 8192
THRESHOLD_CLIP = 3.0


class Suspects(NamedTuple):
    """Samples above the threshold.

    Parameters
    ----------
    indices : integer array
        Most suspicious first; empty where the threshold was refused.
    threshold : Threshold
    """

    indices: NDArray[np.intp]
    threshold: Threshold


class Top(NamedTuple):
    """The training samples most related to each test sample.

    Parameters
    ----------
    proponents, opponents : integer arrays, shape (tests, k)
        Largest influence first; smallest (most negative) first.
    proponent_values, opponent_values : arrays, shape (tests, k)
    """

    proponents: NDArray[np.intp]
    proponent_values: NDArray[np.float64]
    opponents: NDArray[np.intp]
    opponent_values: NDArray[np.float64]


@dataclass(frozen=True, repr=False)
class Influence:
    """Influences and scores of the samples of one training set.

    All results are NumPy float64 in the data's order. Losses are in nats for cross-entropy.

    Parameters
    ----------
    table : LossTable
        Raw losses [members × samples] and the losses of θ* measured in the same way.
    checkpoint_losses : array, shape (samples,)
        Plain loss at θ*, of the model just as it was given: the baseline.
    labels : integer array, shape (samples,), or None
        Given classes.
    clip : float
        Losses count up to this much in `suspicion`.
    data : Dataset
    members : Members
        Kept states, for questions that come after the fit.
    run : Run
    test_table : LossTable, optional
        Losses of the same members on the test data of the fit.
    floor : float
        Lower bound put on the losses of θ* in every deviation.
    """

    table: LossTable
    checkpoint_losses: NDArray[np.float64]
    labels: NDArray[np.intp] | None
    clip: float
    data: Dataset[Any]
    members: Members
    run: Run
    test_table: LossTable | None = None
    floor: float = 0.0
    _cache: dict[str, Any] = field(default_factory=dict, compare=False)

    @property
    def losses(self) -> NDArray[Any]:
        """Raw losses, shape (members, samples); NaN where a member did not see the sample."""
        return self.table.losses

    @property
    def base_losses(self) -> NDArray[Any]:
        """Losses at θ*, shape (samples,), measured in the same way as those of the members."""
        return self.table.base_losses

    def __len__(self) -> int:
        return len(self.base_losses)

    def __repr__(self) -> str:
        count = self.run.count()
        chains = len({int(c) for c in self.table.chains})
        left_out = ", ".join(f"{n} {status}" for status, n in count.items() if status != "member" and n)
        return (
            f"<Influence by {self.run.method}: {len(self)} samples × {len(self.table)} members of {chains} chains"
            f"{f' ({left_out} left out)' if left_out else ''}; "
            "suspicion(): mean clipped loss, high = probably mislabelled; self_influence(): E[Δ²], high = memorised; "
            "influence(test): E[Δ·Δ'], + = losses move together>"
        )

    def deviations(self) -> NDArray[np.float64]:
        """Δ = ℓ(z, ψ) − max(ℓ(z, θ*), floor), shape (members, samples); NaN where not seen."""
        return self.table.block(0, len(self), self.floor)

    def self_influence(self) -> NDArray[np.float64]:
        """The paper's E[Δ²] (Eq. 10), shape (samples,), in squared units of the loss, ≥ 0.

        High means that the sample is memorised. NaN for a sample that no member saw. To rank
        suspects use `suspicion`: this score is fragile where θ* has not memorised its wrong labels.
        """
        moments = dv.no_moments(np.asarray(self.base_losses, dtype=np.float64))
        for row, weight in self.table.rows(self.floor):
            moments = dv.update(moments, row, weight)
        return np.asarray(dv.mean_square(moments))

    def suspicion(self, *, clip: float | None = None) -> NDArray[np.float64]:
        """Mean over members of min(loss, clip), shape (samples,), in units of the loss; high = probably mislabelled.

        Parameters
        ----------
        clip : float, optional
            Default max(3, 2.5 ln K): a few exploding losses must not decide a mean.

        Notes
        -----
        A sample that no member saw has its loss at θ*, clipped.
        """
        clip = self.clip if clip is None else clip
        if not clip > 0:
            raise InvalidSettingError(f"clip is {clip}, and must be positive; leave it out for max(3, 2.5 ln K)")
        total, seen = np.zeros(len(self)), np.zeros(len(self))
        for row in self._clipped(clip):
            known = ~np.isnan(row)
            total += np.where(known, row, 0.0)
            seen += known
        unseen = np.minimum(self.base_losses, clip)
        return np.where(seen > 0, total / np.maximum(seen, 1), unseen).astype(np.float64)

    def standard_error(self, *, of: Literal["suspicion", "self_influence"] = "suspicion") -> NDArray[np.float64]:
        """Standard error of a score, shape (samples,), in its unit, by leaving out one chain at a time.

        Members of one chain resemble each other, so they do not count as independent. A run of
        one chain is cut into consecutive parts instead (batch means). NaN where fewer than two
        chains, or parts, saw the sample.
        """
        if of == "suspicion":
            rows: Iterator[NDArray[np.float64]] = self._clipped(self.clip)
        elif of == "self_influence":
            rows = (row**2 for row, _ in self.table.rows(self.floor))
        else:
            raise InvalidSettingError(f"no standard error of {of!r}; allowed are 'suspicion' and 'self_influence'")
        return jackknife(rows, member_groups(self.table.chains), len(self))

    def suspects(self) -> Suspects:
        """Samples that are probably mislabelled, by a threshold found from the scores; it may refuse.

        A refusal means "use the ranking", not "the data is clean". See
        `gexcore.decisions.threshold.valley_or_refuse`.
        """
        scores = self.suspicion(clip=THRESHOLD_CLIP)
        if not len(self.table):
            return Suspects(np.empty(0, np.intp), Threshold(None, "refused", _NO_MEMBERS))
        found = valley_or_refuse(scores, self.labels)
        if found.value is None:
            return Suspects(np.empty(0, np.intp), found)
        ranking = np.argsort(-self.suspicion(), kind="stable")
        return Suspects(ranking[scores[ranking] > found.value], found)

    def influence(self, test: Any = None) -> NDArray[np.float64]:
        """E[Δ(z')·Δ(z)], shape (tests, samples), in squared units of the loss.

        Positive: the losses of z' and z move together, removing z would raise the loss of z';
        negative: they move against each other.

        Parameters
        ----------
        test : data, optional
            New data, evaluated by the kept members. Without it the test data of the fit, by all
            members; if there was none, the training set itself: N × N numbers.
        """
        return np.concatenate([block for _, block in self.influence_blocks(test)], axis=1)

    def influence_blocks(self, test: Any = None, *, size: int = BLOCK) -> Iterator[tuple[slice, NDArray[np.float64]]]:
        """`influence` in blocks of training samples: pairs of a slice and an array (tests, slice)."""
        tests, train = self._pair(test)
        dev_test = tests.block(0, len(tests.base_losses), self.floor)
        for start in range(0, len(self), size):
            stop = min(start + size, len(self))
            block = dv.cross_influence(dev_test, train.block(start, stop, self.floor), train.weights)
            yield slice(start, stop), np.asarray(block)

    def group_influence(self, groups: Any, test: Any = None) -> NDArray[np.float64]:
        """Influence of groups of training samples, shape (tests, groups): sums over their samples.

        Parameters
        ----------
        groups : array, shape (samples,)
            The group of each sample (annotator, source, …); columns follow ``numpy.unique``.
        test : data, optional
            As for `influence`.
        """
        names, codes = np.unique(np.asarray(groups), return_inverse=True)
        if codes.shape != (len(self),):
            msg = f"groups has shape {np.shape(groups)} for {len(self)} samples; give one group per sample"
            raise InvalidDataError(msg)
        total: NDArray[np.float64] | None = None
        for part, block in self.influence_blocks(test):
            sums = np.asarray(dv.group_deviations(block, codes[part], len(names)))
            total = sums if total is None else total + sums
        assert total is not None
        return total

    def top(self, k: int, test: Any = None) -> Top:
        """The `k` strongest proponents and opponents of each test sample, without an N × N matrix.

        Parameters
        ----------
        k : int
            From 1 to the number of samples.
        test : data, optional
            As for `influence`.
        """
        if not 1 <= k <= len(self):
            raise InvalidSettingError(f"k is {k}, and must be from 1 to the number of samples, {len(self)}")
        best: tuple[NDArray[np.intp], NDArray[np.float64]] | None = None
        worst: tuple[NDArray[np.intp], NDArray[np.float64]] | None = None
        for part, block in self.influence_blocks(test):
            positions = np.broadcast_to(np.arange(part.start, part.stop), block.shape)
            best = _merge_largest(best, positions, block, k)
            worst = _merge_largest(worst, positions, -block, k)
        assert best is not None
        assert worst is not None
        return Top(best[0], best[1], worst[0], -worst[1])

    def suggested_labels(self) -> NDArray[np.intp]:
        """The class that the kept members give most probability, shape (samples,).

        Raises
        ------
        MissingCapabilityError
            Where the backend has no logits.
        """
        if "suggested" not in self._cache:
            self._cache["suggested"] = self.members.probabilities(self.data).argmax(axis=1)
        suggested: NDArray[np.intp] = self._cache["suggested"]
        return suggested

    def columns(self) -> dict[str, NDArray[Any]]:
        """The columns of `scores.csv`, one row per sample in the data's order."""
        from gexcore.capabilities import supports
        from gexcore.protocols import SupportsLogits

        n = len(self)
        none = np.full(n, None, dtype=object)
        suspect = np.zeros(n, dtype=bool)
        suspect[self.suspects().indices] = True
        suggest = self.labels is not None and supports(self.members.backend, SupportsLogits)
        return {
            "index": np.arange(n),
            "label": none if self.labels is None else self.labels,
            "suspicion": self.suspicion(),
            "self_influence": self.self_influence(),
            "standard_error": self.standard_error(),
            "suspect": suspect,
            "suggested_label": self.suggested_labels() if suggest else none,
        }

    def to_frame(self) -> pd.DataFrame:
        """`columns` as a pandas frame (extra ``report``)."""
        import pandas as pd

        return pd.DataFrame(self.columns())

    def _clipped(self, clip: float) -> Iterator[NDArray[np.float64]]:
        return (np.minimum(row.astype(np.float64), clip) for row in self.table.losses)

    def _pair(self, test: Any) -> tuple[LossTable, LossTable]:
        """Losses of the same members on test and training data, without missing entries."""
        if test is None:
            train = self.table if self.table.complete else self._kept_on_data()
            return self.test_table or train, train
        if not len(self.members.rows):
            raise InvalidSettingError(
                f"{_NO_MEMBERS}; influence on new data needs members whose states were kept (keep > 0)"
            )
        tests = self.members.evaluate(test)
        train = self.table.select(self.members.rows) if self.table.complete else self._kept_on_data()
        return tests, train

    def _kept_on_data(self) -> LossTable:
        if "kept" not in self._cache:
            self._cache["kept"] = self.members.evaluate(self.data)
        table: LossTable = self._cache["kept"]
        return table


_NO_MEMBERS = "the run has no usable member"


def default_clip(classes: int | None) -> float:
    """max(3, 2.5 ln K): well above the loss ln K of a guess, far below that of an accident."""
    return max(3.0, 2.5 * math.log(classes)) if classes else 3.0


def _merge_largest(
    found: tuple[NDArray[np.intp], NDArray[np.float64]] | None,
    positions: NDArray[np.intp],
    values: NDArray[np.float64],
    k: int,
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    if found is not None:
        positions = np.concatenate([found[0], positions], axis=1)
        values = np.concatenate([found[1], values], axis=1)
    if values.shape[1] > k:
        part = np.argpartition(-values, k - 1, axis=1)[:, :k]
        positions, values = np.take_along_axis(positions, part, 1), np.take_along_axis(values, part, 1)
    order = np.argsort(-values, axis=1, kind="stable")
    return np.take_along_axis(positions, order, 1), np.take_along_axis(values, order, 1)
