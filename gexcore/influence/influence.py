"""What a fit returns: influences and scores as views of one table of deviations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gexcore.backend.protocols import Backend, Dataset
from gexcore.decisions.cuts import Threshold
from gexcore.decisions.threshold import Method as ThresholdMethod
from gexcore.decisions.threshold import Suspects, find_threshold
from gexcore.deviations.ranking import Top, highest
from gexcore.deviations.table import Blocks, Table
from gexcore.errors import InvalidDataError, InvalidSettingError
from gexcore.influence.record import Run
from gexcore.report import LIMIT, write_report

if TYPE_CHECKING:
    import pandas as pd


NO_MEMBERS = "the run has no usable member"


class Source(Protocol):
    """The members of a run, able to tell their deviations on any data."""

    @property
    def backend(self) -> Backend[Any, Any]:
        """The model they are of."""
        ...

    def evaluate(self, data: Any, /) -> Table:
        """Deviations of the same members on other samples."""
        ...


@dataclass(frozen=True, repr=False, eq=False)
class Influence:
    """Influences and scores of the samples of one training set.

    All results are NumPy float64 in the data's order.

    Parameters
    ----------
    table : Table
        Deviations [members × samples].
    checkpoint_losses : array, shape (samples,)
        Plain loss at θ*, of the model just as it was given: the baseline.
    labels : integer array, shape (samples,), or None
        Given classes.
    data : Dataset
    members : Source
        For questions that come after the fit.
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
    _cache: dict[str, Any] = field(default_factory=dict, init=False, compare=False)

    def __len__(self) -> int:
        return self.table.samples

    def __repr__(self) -> str:
        return (
            f"<Influence by {self.run.method}: {len(self)} samples × {len(self.table)} members; "
            "self_influence(): E[Δ²], high = memorised; influence(test): E[Δ·Δ'], + = losses "
            "move together>"
        )

    def deviations(self) -> NDArray[np.float64]:
        """D, shape (members, samples); NaN where a member did not see the sample."""
        return self._own().block(0, len(self))

    def self_influence(self) -> NDArray[np.float64]:
        """The paper's E[Δ²] (Eq. 10), shape (samples,).

        High means that the sample is memorised. NaN for a sample that no member saw; negative only
        where members of negative weight stand for a Hessian's negative curvature.
        """
        return self._own().self_influence()

    def standard_error(self) -> NDArray[np.float64]:
        """Standard error of self-influence, shape (samples,), leaving out one independent draw at a
        time.

        NaN where the members are no random draws: then there is no such error.
        """
        return self._own().standard_error()

    def reliability(self) -> float:
        """Correlation to expect between the root of self-influence and that of another run like
        this one; at most 1.

        From how well the two halves of the members agree: see
        `gexcore.deviations.uncertainty.split_half`. NaN where the members are no random draws.
        """
        return self._own().reliability()

    def record(self) -> dict[str, Any]:
        """What `run.json` says of the run, in plain values."""
        return self.run.to_dict()

    def ranking(self, k: int | None = None) -> NDArray[np.intp]:
        """Positions of the samples, or of the first `k`, highest self-influence first; those that
        no member saw last."""
        return highest(np.nan_to_num(self.self_influence(), nan=-np.inf), k)

    def suspects(self, method: ThresholdMethod = "auto", *, rate: float | None = None) -> Suspects:
        """Samples of high self-influence, by a threshold found from the scores; it may refuse.

        Memorised samples are wrong labels, and also rare right ones. A refusal means "use the
        ranking", not "the data is clean".

        Parameters
        ----------
        method : {"auto", "valley", "otsu", "mixture", "known_rate", "quantile"}
            "auto" is `gexcore.decisions.threshold.valley_or_refuse`, which works on the square
            roots of the scores; beside it are the alternatives.
        rate : float, optional
            For "known_rate", the share of wrong labels; for "quantile", the share to flag.
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
        flagged = np.flatnonzero(scores > found.value)
        return Suspects(flagged[highest(scores[flagged])], found)

    def influence(self, test: Any = None) -> NDArray[np.float64]:
        """E[Δ(z')·Δ(z)], shape (tests, samples).

        Positive: the losses of z' and z move together, removing z would raise the loss of z';
        negative: they move against each other.

        Parameters
        ----------
        test : data, optional
            New data, evaluated by the kept members. Without it the test data of the fit, by all
            members; if there was none, the training set itself: N × N numbers.
        """
        return np.concatenate([block for _, block in self.influence_blocks(test)], axis=1)

    def influence_blocks(self, test: Any = None, *, size: int | None = None) -> Blocks:
        """`influence` in blocks of training samples: pairs of a slice and an array (tests, slice).

        Parameters
        ----------
        test : data, optional
            As for `influence`.
        size : int, optional
            Samples in a block; without it 8,192, or as many as keep it below 64 MB.
        """
        tests, train = self._checked_pair(test)
        return train.cross(tests, size=size)

    def mean_influence(self, test: Any = None) -> NDArray[np.float64]:
        """Influence on the mean loss of a test set, shape (samples,): the cross-influence of
        Appendix F.5.

        The paper expects negative values for wrong labels. Where the losses of members rise on
        everything, as in `GEX`, they are positive nearly everywhere; compare them, not their signs.

        Parameters
        ----------
        test : data, optional
            As for `influence`.

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
        >>> bool(np.allclose(influence.mean_influence(tests), influence.influence(tests).mean(axis=0)))
        True
        >>> influence.group_influence(np.repeat(["ann", "bob", "cat", "dan"], 20), tests).shape
        (10, 4)
        >>> influence.top(3, tests).proponents.shape
        (10, 3)
        """
        return np.concatenate([block.mean(axis=0) for _, block in self.influence_blocks(test)])

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
            From 1 to the number of samples.
        test : data, optional
            As for `influence`.
        """
        if not 1 <= k <= len(self):
            raise InvalidSettingError(
                f"k is {k}, and must be from 1 to the number of samples, {len(self)}"
            )
        tests, train = self._checked_pair(test)
        return train.top(tests, k)

    def columns(self) -> dict[str, NDArray[Any]]:
        """One row per sample in the data's order: index, label, self_influence, standard_error,
        suspect."""
        suspect = np.zeros(len(self), dtype=bool)
        suspect[self.suspects().indices] = True
        return {
            "index": np.arange(len(self)),
            "label": np.full(len(self), None, dtype=object) if self.labels is None else self.labels,
            "self_influence": self.self_influence(),
            "standard_error": self.standard_error(),
            "suspect": suspect,
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
            What to show instead of the training set, such as its texts; one for each sample, in
            order.
        renderer : callable, optional
            From one sample to what to show of it: a text, a picture (array or PIL) or a dict of
            values. Not needed where the sample is one of these.
        class_names : sequence of str, optional
        title : str, optional
        limit : int
            How many samples to list, highest score first; the histogram and all counts use every
            one.
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
            For another number of samples or classes, or a sample that cannot be shown; nothing is
            written.
        MissingExtraError
        """
        from gexcore.report.audit import Audit

        shown = {
            "data": self.data if data is None else data,
            "backend": self.members.backend,
            "renderer": renderer,
        }
        options = {"class_names": class_names, "title": title, "limit": limit, "force": force}
        audit = Audit.of(self.columns(), self.suspects().threshold, self.record())
        return write_report(audit, path, **shown, **options, remarks=self._remarks())

    def _remarks(self) -> list[str]:
        """Sentences for the page."""
        return [
            "This method has no suspicion of its own: wherever the page says suspicion, it "
            "shows self-influence."
        ]

    def _own(self) -> Table:
        """The deviations that scores of the training set are made of."""
        return self.table

    def _checked_pair(self, test: Any) -> tuple[Table, Table]:
        if not len(self.table):
            raise InvalidSettingError(
                f"{NO_MEMBERS}, and influence is a mean over members; give more snapshots or steps"
            )
        return self._pair(test)

    def _pair(self, test: Any) -> tuple[Table, Table]:
        """Deviations of the same members on test and training data, without missing entries."""
        if test is not None:
            return self.members.evaluate(test), self.table
        return self.table if self.test_table is None else self.test_table, self.table
