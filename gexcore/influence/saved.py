"""Saved results: everything that a fit told, without its model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gexcore.decisions.threshold import Suspects, ThresholdMethod, above, find_threshold
from gexcore.evaluation.given import Names
from gexcore.evaluation.passes import Passes
from gexcore.influence.packed import Packed, read_packed, threshold_of
from gexcore.influence.record import Run
from gexcore.influence.result import Result


@dataclass(frozen=True, eq=False, repr=False)
class Saved(Result):
    """A result that was saved or pickled. It has the scores, and no model to ask for more.

    Parameters
    ----------
    parts : Packed
        Arrays and plain values of the result.
    """

    parts: Packed

    def __len__(self) -> int:
        return len(self.parts.tables["ranking"])

    def __repr__(self) -> str:
        return f"<Saved: {self.parts.told['repr'].strip('<>')}>"

    @property
    def labels(self) -> NDArray[np.intp] | None:  # type: ignore[override]
        """Given classes, shape (samples,). None if targets are no classes."""
        found = self.parts.columns.get("label")
        return None if found is None else found.astype(np.intp)

    @property
    def run(self) -> Run:  # type: ignore[override]
        """The record of the fit, without its snapshots."""
        told, record = self.parts.told, self.parts.told["record"]
        used = {k: int(v) for k, v in record["passes"].items() if k in Passes._fields}
        classes, index = told["classes"], told["index"]
        return Run(
            method=record["method"],
            settings=record["settings"],
            plan=None,
            backend=record["backend"],
            samples=record["samples"],
            classes=record["classes"],
            snapshots=(),
            passes=Passes(**used),
            seconds=record["seconds"],
            chosen=record.get("chosen", {}),
            names=Names(index=index, classes=None if classes is None else tuple(classes)),
        )

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(
            f"a result that was saved or pickled has no {name!r}: it has scores, and no model to "
            "ask; make the fit again, which a store= of its own makes quick"
        )

    def columns(self) -> dict[str, NDArray[Any]]:
        """The columns of `scores.csv`, one row per sample in the data's order."""
        empty = {name: np.full(len(self), None) for name in self.parts.told["empty"]}
        return {**{k: v.copy() for k, v in self.parts.columns.items()}, **empty}

    def tables(self) -> dict[str, NDArray[Any]]:
        """Further arrays, such as the losses of members."""
        own = ("ranking", "suspects")
        return {name: array for name, array in self.parts.tables.items() if name not in own}

    def suspicion(self) -> NDArray[np.float64]:
        """The score of each sample, shape (samples,); high = suspicious."""
        columns = self.parts.columns
        return columns["suspicion" if "suspicion" in columns else "self_influence"].copy()

    def ranking(self, k: int | None = None) -> NDArray[np.intp]:
        """Positions of the samples, or of the first `k`, most suspicious first."""
        return self.parts.tables["ranking"][:k].astype(np.intp)

    def suspects(self, method: ThresholdMethod = "auto", *, rate: float | None = None) -> Suspects:
        """Samples above the threshold of the fit, or above another one on the saved scores.

        Parameters
        ----------
        method : {"auto", "valley", "otsu", "mixture", "known_rate", "quantile"}
            "auto" is the threshold that was saved.
        rate : float, optional
            Share of wrong labels for "known_rate", or share to flag for "quantile".
        """
        if method == "auto" and rate is None:
            flagged = self.parts.tables["suspects"].astype(np.intp)
            return Suspects(flagged, threshold_of(self.parts.told))
        scores = self.suspicion()
        start = min(0.0, float(np.nanmin(scores)))
        raised = np.nan_to_num(scores - start)
        found = find_threshold(raised, self.labels, method=method, rate=rate)
        if found.value is None:
            return Suspects(np.empty(0, np.intp), found)
        ranking, over = self.ranking(), above(raised, self.labels, found)
        return Suspects(ranking[over[ranking]], found._replace(value=found.value + start))

    @property
    def threshold_on(self) -> str:
        """The quantity that thresholds are on, in words."""
        return str(self.parts.told["threshold_on"])

    def record(self) -> dict[str, Any]:
        """The content of `run.json`, in plain values."""
        return dict(self.parts.told["record"])

    def to_dict(self) -> dict[str, float]:
        """The numbers that sum up the run, for an experiment tracker."""
        numbers: Mapping[str, float] = self.parts.told["numbers"]
        return dict(numbers)


def load(path: str | Path) -> Saved:
    """The result that `save` of a result wrote. Nothing in the file is run.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    Saved
        With the columns, ranking, suspects, record, frame, page and further arrays of the result.
        Questions about new data need the model, and so another fit.

    Raises
    ------
    InvalidDataError
        If the file is any other file.

    Examples
    --------
    >>> import tempfile
    >>> import gexcore as gx
    >>> recorder = gx.Recorder(samples=3)
    >>> recorder.add([0, 1, 2], logits=[[1.0, 0.5]] * 3, labels=[0, 1, 1])
    >>> recorder.epoch()
    >>> path = tempfile.mkdtemp() + "/scores.npz"
    >>> gx.AUM(recorder=recorder).fit().save(path)
    >>> gx.load(path).suspicion()
    array([-0.5,  0.5,  0.5])
    """
    return Saved(read_packed(Path(path)))
