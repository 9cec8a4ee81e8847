"""What a fit returns: every influence and score as a view of one table of losses."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from gexcore import deviations as dv
from gexcore.capabilities import supports
from gexcore.decisions.clean import RELABELLINGS, Cleaned, Predictions, clean, positions
from gexcore.decisions.clean import Method as CleaningMethod
from gexcore.decisions.noise_rate import NoiseRate, noise_rate
from gexcore.decisions.threshold import Method as ThresholdMethod
from gexcore.decisions.threshold import Suspects, Threshold, find_threshold
from gexcore.ensembles.members import Members
from gexcore.errors import InvalidDataError, InvalidSettingError
from gexcore.protocols import Dataset, SupportsLogits
from gexcore.report import LIMIT, write_report
from gexcore.run import Run
from gexcore.table import LossTable
from gexcore.top import Top, strongest
from gexcore.uncertainty import jackknife, member_groups

if TYPE_CHECKING:
    import pandas as pd

BLOCK = 8192
THRESHOLD_CLIP = 3.0
"""Thresholds are found on losses clipped here, whatever the clip of the ranking: their modes show best."""


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

    def suspects(self, method: ThresholdMethod = "auto", *, rate: float | None = None) -> Suspects:
        """Samples that are probably mislabelled, by a threshold found from the scores; it may refuse.

        A refusal means "use the ranking", not "the data is clean". The threshold is a cut on
        ``suspicion(clip=threshold.clip)``: losses clipped at 3, where the two modes show best.

        Parameters
        ----------
        method : {"auto", "valley", "otsu", "mixture", "known_rate", "quantile"}
            "auto" is `gexcore.decisions.threshold.valley_or_refuse`; beside it are the alternatives.
        rate : float, optional
            For "known_rate", the share of wrong labels; for "quantile", the share to flag.
        """
        if not len(self.table):
            return Suspects(np.empty(0, np.intp), Threshold(None, "refused", _NO_MEMBERS))
        scores = self.suspicion(clip=THRESHOLD_CLIP)
        found = find_threshold(scores, self.labels, method=method, rate=rate)._replace(clip=THRESHOLD_CLIP)
        if found.value is None:
            return Suspects(np.empty(0, np.intp), found)
        ranking = np.argsort(-self.suspicion(), kind="stable")
        return Suspects(ranking[scores[ranking] > found.value], found)

    def noise_rate(self, method: ThresholdMethod = "auto") -> NoiseRate:
        """The share of suspects with a bootstrap interval; NaN where the threshold was refused.

        See `gexcore.decisions.noise_rate.noise_rate` for what the interval does not know.
        """
        if not len(self.table):
            return NoiseRate(math.nan, math.nan, math.nan)
        return noise_rate(self.suspicion(clip=THRESHOLD_CLIP), self.labels, method=method)

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
        return strongest(self.influence_blocks(test), k)

    def predictions(self) -> Predictions:
        """Logits of θ* and class probabilities averaged over the kept members, both of shape (samples, K).

        Raises
        ------
        MissingCapabilityError
            Where the backend has no logits.
        """
        if "predictions" not in self._cache:
            probabilities = self.members.probabilities(self.data)
            self._cache["predictions"] = Predictions(self.members.checkpoint_logits(self.data), probabilities)
        predictions: Predictions = self._cache["predictions"]
        return predictions

    def suggested_labels(self) -> NDArray[np.intp]:
        """The class that the kept members give most probability, shape (samples,).

        Raises
        ------
        MissingCapabilityError
            Where the backend has no logits.
        """
        return np.asarray(self.predictions().probabilities.argmax(axis=1))

    def relabel(self, method: CleaningMethod = "argmax", indices: Any = None) -> Cleaned:
        """The training set with its suspects relabelled or dropped, as a value to train on.

        Parameters
        ----------
        method : {"argmax", "other", "eq16", "distill", "complementary", "drop"}
            See `gexcore.decisions.clean.clean`; "drop" is the safest.
        indices : integer array, optional
            Positions to treat; those of `suspects` where not given.

        Raises
        ------
        InvalidDataError
            For targets that are no classes.
        InvalidSettingError
            Where the threshold was refused and no `indices` are given.
        MissingCapabilityError
            Where the backend has no logits; "drop" needs none.
        """
        if self.labels is None:
            raise InvalidDataError("relabelling needs one class per sample, and the targets are no classes")
        if indices is None:
            indices, threshold = self.suspects()
            if threshold.value is None:
                msg = (
                    f"no threshold: {threshold.reason}; give indices, such as those of suspects('known_rate', rate=0.1)"
                )
                raise InvalidSettingError(msg)
        chosen = positions(indices, len(self))
        predictions = self.predictions().at(chosen) if method in RELABELLINGS else None
        return clean(self.labels, chosen, method, predictions)

    def columns(self) -> dict[str, NDArray[Any]]:
        """The columns of `scores.csv`, one row per sample in the data's order."""
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

    def report(
        self,
        path: str | Path,
        *,
        data: Any = None,
        renderer: Callable[[Any], Any] | None = None,
        class_names: Sequence[str] | None = None,
        title: str | None = None,
        limit: int = LIMIT,
        force: bool = False,
    ) -> Path:
        """Write one self-contained HTML page to review the suspects with (extra ``report``).

        Parameters
        ----------
        path : str or Path
        data : data, or a list or array of samples, optional
            What to show instead of the training set, such as its texts; one for each sample, in order.
        renderer : callable, optional
            From one sample to what to show of it: a text, a picture (array or PIL) or a dict of
            values. Not needed where the sample is one of these.
        class_names : sequence of str, optional
        title : str, optional
        limit : int
            How many samples to list, most suspicious first; the histogram and all counts use every one.
        force : bool
            Overwrite an existing file.

        Returns
        -------
        Path
            Of the page.

        Raises
        ------
        OutputExistsError
            For a file that exists.
        InvalidDataError
            For another number of samples or classes, or a sample that cannot be shown; nothing is written.
        MissingExtraError
        """
        from gexcore.report.audit import audit_of

        shown = {"data": self.data if data is None else data, "backend": self.members.backend, "renderer": renderer}
        options = {"class_names": class_names, "title": title, "limit": limit, "force": force}
        return write_report(audit_of(self), path, **shown, **options)

    def _clipped(self, clip: float) -> Iterator[NDArray[np.float64]]:
        return (np.minimum(row.astype(np.float64), clip) for row in self.table.losses)

    def _pair(self, test: Any) -> tuple[LossTable, LossTable]:
        """Losses of the same members on test and training data, in evaluation mode, without missing entries."""
        if not len(self.table):
            raise InvalidSettingError(
                f"{_NO_MEMBERS}, and influence is a mean over members; give more snapshots or steps"
            )
        evaluated = self.run.plan.harvest == "evaluated"
        if evaluated and test is None:
            return self.table if self.test_table is None else self.test_table, self.table
        if not len(self.members.rows):
            told = "influence on new data" if evaluated else "influence after a free harvest"
            raise InvalidSettingError(f"{told} needs members whose states were kept; fit with keep > 0")
        train = self.table.select(self.members.rows) if evaluated else self._kept_on_data()
        if test is not None:
            return self.members.evaluate(test), train
        return train if self.test_table is None else self.test_table, train

    def _kept_on_data(self) -> LossTable:
        if "kept" not in self._cache:
            self._cache["kept"] = self.members.evaluate(self.data)
        table: LossTable = self._cache["kept"]
        return table


_NO_MEMBERS = "the run has no usable member"


def default_clip(classes: int | None) -> float:
    """max(3, 2.5 ln K): well above the loss ln K of a guess, far below that of an accident."""
    return max(3.0, 2.5 * math.log(classes)) if classes else 3.0
