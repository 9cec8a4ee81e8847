"""Results of a fit: influences and scores as views of one table of deviations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gexcore.backend.protocols import Backend, Dataset
from gexcore.decisions.cuts import Threshold
from gexcore.decisions.threshold import Suspects, ThresholdMethod, above, find_threshold
from gexcore.deviations.blocks import Blocks
from gexcore.deviations.ranking import Top, highest
from gexcore.deviations.table import Table
from gexcore.errors import InvalidDataError, InvalidSettingError
from gexcore.evaluation.others import test_data
from gexcore.influence.record import Run
from gexcore.influence.result import Result

NO_MEMBERS = "the run has no usable member"


class Source(Protocol):
    """The members of a run, which can be evaluated on any data."""

    @property
    def backend(self) -> Backend[Any, Any]:
        """The backend of the model."""
        ...

    def evaluate(self, data: Any, /) -> Table:
        """Deviations of the same members on other samples."""
        ...


@dataclass(frozen=True, repr=False, eq=False)
class Influence(Result):
    """Influences and scores of the samples of one training set.

    All results are NumPy float64 in the data's order.

    Parameters
    ----------
    table : Table
        Deviations [members × samples].
    checkpoint_losses : array, shape (samples,)
        Plain loss of the model as it was given: the baseline.
    labels : integer array, shape (samples,), or None
        Given classes.
    data : Dataset
    members : Source
        Members that answer questions after the fit.
    run : Run
    test_table : Table, optional
        Deviations of the same members on the test data of the fit.
    """

    table: Table
    checkpoint_losses: NDArray[np.float64]
    labels: NDArray[np.intp] | None
    data: Dataset[Any]
    members: Source
    run: Run
    test_table: Table | None = None

    def __len__(self) -> int:
        return self.table.samples

    def __repr__(self) -> str:
        return (
            f"<Influence by {self.run.label}: {len(self)} samples × {len(self.table)} members; "
            "self_influence(): E[Δ²], high = memorised; influence(test): E[Δ·Δ'], + = losses "
            "move together>"
        )

    @property
    def threshold_on(self) -> str:
        """The quantity that thresholds are on."""
        return "self-influence"

    def deviations(self) -> NDArray[np.float64]:
        """D, shape (members, samples). NaN if a member did not see the sample."""
        return self._own().block(0, len(self))

    def self_influence(self) -> NDArray[np.float64]:
        """The paper's E[Δ²] (Eq. 10), shape (samples,).

        High means that the sample is memorised. NaN for a sample that no member saw. Only members
        of negative weight (negative curvature of a Hessian) give negative values.
        """
        return self._own().self_influence()

    def standard_error(self) -> NDArray[np.float64]:
        """Standard error of self-influence over independent draws, shape (samples,).

        It leaves out one draw at a time. NaN if the members are no random draws.
        """
        return self._own().standard_error()

    def reliability(self) -> float:
        """Expected correlation of the root of self-influence between two such runs; at most 1.

        It follows from the agreement of two halves of the members: see
        `gexcore.deviations.halves.split_half`. NaN if the members are no random draws.
        """
        return self._own().reliability()

    def ranking(self, k: int | None = None) -> NDArray[np.intp]:
        """Positions of all samples, or of the first `k`, highest self-influence first.

        Samples that no member saw come last.
        """
        return highest(np.nan_to_num(self.self_influence(), nan=-np.inf), k)

    def suspects(self, method: ThresholdMethod = "auto", *, rate: float | None = None) -> Suspects:
        """Samples of high self-influence, above a threshold found from the scores.

        Memorised samples are wrong labels, and also rare right ones. The threshold may refuse. A
        refusal means "use the ranking", not "the data is clean".

        Parameters
        ----------
        method : {"auto", "valley", "otsu", "mixture", "known_rate", "quantile"}
            "auto" is `gexcore.decisions.threshold.valley_or_refuse`, which works on the square
            roots of the scores. The others are alternatives.
        rate : float, optional
            Share of wrong labels for "known_rate", or share to flag for "quantile".
        """
        if not len(self.table):
            return Suspects(np.empty(0, np.intp), Threshold(None, "refused", NO_MEMBERS))
        scores = self.self_influence()
        if not np.isfinite(scores).all():
            return Suspects(
                np.empty(0, np.intp),
                Threshold(None, "refused", "some samples have no finite score"),
            )
        found = find_threshold(np.maximum(scores, 0.0), self.labels, method=method, rate=rate)
        if found.value is None:
            return Suspects(np.empty(0, np.intp), found)
        flagged = np.flatnonzero(above(scores, self.labels, found))
        return Suspects(flagged[highest(scores[flagged])], found)

    def _numbers(self) -> dict[str, float]:
        return {"reliability": self.reliability()}

    def influence(self, test: Any = None) -> NDArray[np.float64]:
        """E[Δ(z')·Δ(z)], shape (tests, samples).

        A positive value means that the losses of z' and z move together. Removing z would then
        raise the loss of z'. A negative value means that they move against each other.

        Parameters
        ----------
        test : data, optional
            New data, evaluated by the kept members. The default is the test data of the fit,
            evaluated by all members. Without test data it is the training set: N × N numbers.
        """
        return np.concatenate([block for _, block in self.influence_blocks(test)], axis=1)

    def influence_blocks(self, test: Any = None, *, size: int | None = None) -> Blocks:
        """Blocks of `influence`: pairs of a slice of training samples and an array (tests, slice).

        Parameters
        ----------
        test : data, optional
            Test samples, as in `influence`.
        size : int, optional
            Samples in a block. The default is 8,192, or fewer for a block below 64 MB.
        """
        tests, train = self._checked_pair(test)
        return train.cross(tests, size=size)

    def mean_influence(self, test: Any = None) -> NDArray[np.float64]:
        """Influence on the mean loss of a test set (Appendix F.5), shape (samples,).

        The paper expects negative values for wrong labels. With the paper's mean the losses of
        members rise on everything, so nearly all values are positive. Compare the values then, not
        their signs.

        Parameters
        ----------
        test : data, optional
            Test samples, as in `influence`.

        Examples
        --------
        >>> import numpy as np
        >>> import gexcore as gx
        >>> from gexcore_numpy import MLP
        >>> rng = np.random.default_rng(0)
        >>> x = np.concatenate([rng.normal(c, 1.0, (40, 2)) for c in (-1.0, 1.0)])
        >>> y = np.repeat([0, 1], 40)
        >>> model = MLP([np.array([[-1.0, 1.0], [-1.0, 1.0]])], [np.zeros(2)])
        >>> influence = gx.GEX(chains=2, snapshots=4, lr=0.1).fit(model, (x, y), progress=False)
        >>> tests = (x[::8], y[::8])
        >>> mean = influence.influence(tests).mean(axis=0)
        >>> bool(np.allclose(influence.mean_influence(tests), mean))
        True
        >>> influence.group_influence(np.repeat(["ann", "bob", "cat", "dan"], 20), tests).shape
        (10, 4)
        >>> influence.top(3, tests).proponents.shape
        (10, 3)
        """
        return np.concatenate([block.mean(axis=0) for _, block in self.influence_blocks(test)])

    def group_influence(self, groups: Any, test: Any = None) -> NDArray[np.float64]:
        """Influence of groups of training samples, shape (tests, groups): sums over samples.

        Parameters
        ----------
        groups : array, shape (samples,)
            The group of each sample (annotator, source, …). Columns follow ``numpy.unique``.
        test : data, optional
            Test samples, as in `influence`.
        """
        names, codes = np.unique(np.asarray(groups), return_inverse=True)
        if codes.shape != (len(self),):
            msg = (
                f"groups has shape {np.shape(groups)} for {len(self)} samples; give one group "
                "per sample"
            )
            raise InvalidDataError(msg)
        tests, train = self._checked_pair(test)
        return train.group_cross(tests, codes, len(names))

    def top(self, k: int, test: Any = None) -> Top:
        """The `k` strongest proponents and opponents of each test sample, without an N × N matrix.

        Parameters
        ----------
        k : int
            Number of samples to find, from 1 to all.
        test : data, optional
            Test samples, as in `influence`.
        """
        if not 1 <= k <= len(self):
            raise InvalidSettingError(
                f"k is {k}, and must be from 1 to the number of samples, {len(self)}"
            )
        tests, train = self._checked_pair(test)
        return train.top(tests, k)

    def columns(self) -> dict[str, NDArray[Any]]:
        """Columns index, label, self_influence, standard_error and suspect, one row per sample."""
        suspect = np.zeros(len(self), dtype=bool)
        suspect[self.suspects().indices] = True
        return {
            "index": np.arange(len(self)),
            "label": np.full(len(self), None, dtype=object) if self.labels is None else self.labels,
            "self_influence": self.self_influence(),
            "standard_error": self.standard_error(),
            "suspect": suspect,
        }

    def _shown(self) -> tuple[Dataset[Any] | None, Backend[Any, Any] | None]:
        return self.data, self.members.backend

    def _remarks(self) -> list[str]:
        """Sentences for the page."""
        return [
            "This method has no suspicion of its own: wherever the page says suspicion, it "
            "shows self-influence."
        ]

    def _own(self) -> Table:
        """The deviations behind the scores of the training set."""
        return self.table

    def _checked_pair(self, test: Any) -> tuple[Table, Table]:
        if not len(self.table):
            raise InvalidSettingError(
                f"{NO_MEMBERS}, and influence is a mean over members; give more snapshots or steps"
            )
        if test is not None:
            test = test_data(test, self.run.names, self.members.backend)
        return self._pair(test)

    def _pair(self, test: Any) -> tuple[Table, Table]:
        """Deviations of the same members on test and training data, without gaps."""
        if test is not None:
            return self.members.evaluate(test), self.table
        return self.table if self.test_table is None else self.test_table, self.table
